"""A hub on this machine with one data set: what the library `datasets` asks for, answered over HTTP as the hub does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
COPY, CONVERTED = "89abcdef0123456789abcdef0123456789abcdef", "refs/convert/parquet"
"""The commit of the Parquet copies, and their branch."""


@contextmanager
def serving(name: str, folder: Path, converted: Path | None = None) -> Iterator[str]:
    """The address of a hub that has the data set `name` (`ORG/NAME`), with the files of a folder, and in the branch of
    the hub's Parquet copies those of another."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            _answer(name, folder, converted, self)

        def do_GET(self) -> None:
            _answer(name, folder, converted, self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(name: str, folder: Path, converted: Path | None, request: BaseHTTPRequestHandler) -> None:
    path, commit = unquote(urlsplit(request.path).path).strip("/"), COMMIT
    if any(branch in path for branch in (CONVERTED, COPY)):
        if converted is None:
            return _send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        path, commit, folder = path.replace(CONVERTED, COPY), COPY, converted
    api = f"api/datasets/{name}"
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    if path.startswith(f"datasets/{name}/resolve/"):
        file = path.removeprefix(f"datasets/{name}/resolve/").partition("/")[2]
        if file not in files:
            return _send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        return _send(request, 200, files[file], {"ETag": f'"{_sha(files[file])}"', "X-Repo-Commit": commit})
    if path == api or path.startswith(f"{api}/revision"):
        siblings = [{"rfilename": file} for file in files]
        return _send_json(request, {"id": name, "sha": commit, "siblings": siblings, "tags": [], "private": False})
    if path.startswith(f"{api}/tree"):
        below = path.removeprefix(f"{api}/tree").strip("/").partition("/")[2]
        entries = [{"type": "file", "path": file, "size": len(data), "oid": _sha(data)} for file, data in files.items()]
        folders = {parent.as_posix() for file in files for parent in Path(file).parents} - {"."}
        entries += [{"type": "directory", "path": path, "size": 0, "oid": ""} for path in sorted(folders)]
        whole = "recursive=true" in urlsplit(request.path).query.lower()
        found = [
            entry
            for entry in entries
            for above in [Path(str(entry["path"])).parents]
            if (Path(below) in above if whole else above[0] == Path(below))
        ]
        return _send_json(request, found)
    return _send(request, 404, b"", {"X-Error-Code": "RepoNotFound"})


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _send_json(request: BaseHTTPRequestHandler, value: object) -> None:
    _send(request, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for key, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(key, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
