"""A hub on this machine: what huggingface_hub asks for one small model, answered over HTTP as the hub does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A model at `org/name`, its branch main and its tag v1 at one commit, and how the hub is disposed.

    Attributes:
        folder: with the model's files; those below subfolders, and code, are offered as well.
        gated: files are refused with this status; what files there are is told to everybody, as the hub does.
        xet: weights are said to be in the hub's newer storage, for which it gives a token first.
        private: nothing is told without a token.
        breaks: how often the connection is closed in the middle of the weights; None: whenever they are asked for.
        down: everything is answered with this status.
        asked: paths of all requests for files, in order, with where they were asked to begin.
    """

    folder: Path
    gated: int | None = None
    xet: bool = False
    private: bool = False
    breaks: int | None = 0
    down: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    @property
    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at `hub.url` until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            _answer(hub, self)

        def do_GET(self) -> None:
            _answer(hub, self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    path = unquote(urlsplit(request.path).path).strip("/")
    if hub.down is not None:
        return _send(request, hub.down, {})
    # The hub does not tell what is private from what does not exist.
    if hub.private or path.removeprefix("api/models/").split("/")[:2] != ["org", "name"]:
        return _send(request, 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
    return _of_model(hub, request, path)


def _of_model(hub: Hub, request: BaseHTTPRequestHandler, path: str) -> None:
    api = path.startswith("api/models/")
    what, _, rest = path.removeprefix("api/models/").removeprefix("org/name").strip("/").partition("/")
    revision, _, name = rest.partition("/")
    if what and revision not in ("main", "v1", COMMIT):
        return _send(
            request, 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id: " + revision}
        )
    if api and what in ("", "revision"):
        return _send_json(request, {"id": "org/name", "modelId": "org/name", "sha": COMMIT, "siblings": []})
    if api and what == "tree":
        return _send_json(request, [_entry(hub, file, data) for file, data in hub.files.items()])
    hub.asked.append((name or what, request.headers.get("Range")))
    if hub.gated is not None:
        words = "Access to model org/name is restricted. You must have access to it and be authenticated to access it."
        return _send(request, hub.gated, {"X-Error-Code": "GatedRepo", "X-Error-Message": words})
    if name not in hub.files:
        return _send(request, 404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
    return _send_file(hub, request, name, hub.files[name])


def _entry(hub: Hub, name: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if name.endswith(".safetensors"):
        digest = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
        if hub.xet:
            entry["xetHash"] = digest
    return entry


def _send_file(hub: Hub, request: BaseHTTPRequestHandler, name: str, data: bytes) -> None:
    begin = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
    headers = {
        "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
        "X-Repo-Commit": COMMIT,
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(data) - begin),
    }
    if begin:
        headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    breaks = request.command == "GET" and name.endswith(".safetensors") and hub.breaks != 0
    _head(request, 206 if begin else 200, headers)
    if request.command == "HEAD":
        return
    if not breaks:
        request.wfile.write(data[begin:])
        return
    if hub.breaks is None:
        # Not a byte more than the first time: the other side may give up.
        request.wfile.write(data[begin : len(data) // 2])
    else:
        hub.breaks -= 1
        request.wfile.write(data[begin : (begin + len(data)) // 2])
    request.wfile.flush()
    request.close_connection = True


def _send_json(request: BaseHTTPRequestHandler, value: object) -> None:
    body = json.dumps(value).encode()
    _head(request, 200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
    if request.command == "GET":
        request.wfile.write(body)


def _send(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    _head(request, status, {**headers, "Content-Length": "0"})


def _head(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
