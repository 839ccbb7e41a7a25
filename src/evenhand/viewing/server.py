"""Serves the page of a folder on 127.0.0.1 to whoever knows its token, and to no other site of the browser."""

from __future__ import annotations

import errno
import json
import multiprocessing
import secrets
import threading
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from evenhand.errors import InputError
from evenhand.report.offline import policy_hash
from evenhand.viewing.folder_watcher import first_status, watch

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""The names by which a browser may ask, with any port, since a port may be forwarded from another machine."""

_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-downloads allow-modals"
)
"""A report that is served as it lies in its folder may be anybody's: it can request nothing and read no other page."""


@dataclass
class Watched:
    """The last status and the last report of the folder, as its process sent them."""

    status: dict[str, Any]
    report: bytes | None = None


class ViewServer(ThreadingHTTPServer):
    """Serves one folder: `/` is the page that follows it, `/status` its status, `/report` the report; nothing else.

    A context manager: the folder is followed within the block.

    Example:
        >>> import tempfile, urllib.request
        >>> with ViewServer(Path(tempfile.mkdtemp())) as server:
        ...     serving = threading.Thread(target=server.serve_forever)
        ...     serving.start()
        ...     status = urllib.request.urlopen(server.url).status
        ...     server.shutdown()
        >>> status
        200
    """

    daemon_threads = True

    def __init__(self, folder: Path, data: Path | None = None, port: int = 0) -> None:
        """Bind the port.

        Args:
            folder: that a run or an audit writes to, or will write to.
            data: the folder of `--data`, which the audit of an unfinished study needs.
            port: 0: a free one.

        Raises:
            InputError: the port cannot be used.
        """
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is in use" if error.errno == errno.EADDRINUSE else "needs rights that this user lacks"
            raise InputError(f"--port {port} {why}; choose another one, or leave it out for a free one") from None
        self.token = secrets.token_urlsafe(32)
        self.watched = Watched(first_status(folder))
        self._answers, given = multiprocessing.get_context("spawn").Pipe()
        arguments = (str(folder), None if data is None else str(data), given)
        self._process = multiprocessing.get_context("spawn").Process(target=watch, args=arguments, daemon=True)
        self._given = given

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def __enter__(self) -> ViewServer:
        self._process.start()
        self._given.close()
        threading.Thread(target=self._receive, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server_close()
        self._process.terminate()
        self._process.join()

    def server_bind(self) -> None:
        """Bind the port, without looking up the machine's name, which takes seconds where nobody answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a browser has closed its connection early."""

    def _receive(self) -> None:
        """Keep what the process sends."""
        while True:
            try:
                status, report = self._answers.recv()
            except (EOFError, OSError):
                ended = "The process that reads the folder has ended; start evenhand view again."
                self.watched.status = {**self.watched.status, "state": "lost", "notes": [ended]}
                return
            if report is not None:
                self.watched.report = report
            self.watched.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: ViewServer
    server_version, sys_version = "evenhand", ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests contain the token."""

    def _answer(self) -> None:
        asked = urlsplit(self.path)
        if self._host() not in _NAMES:  # another site's name that was made to point to this machine
            return self._send(
                HTTPStatus.FORBIDDEN, "text/plain", b"this page answers to 127.0.0.1 and localhost only\n"
            )
        given = parse_qs(asked.query).get("token", [""])[-1]
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self.server.token.encode()):
            return self._send(HTTPStatus.FORBIDDEN, "text/plain", b"use the address that evenhand view printed\n")
        watched = self.server.watched
        if asked.path == "/":
            return self._send(HTTPStatus.OK, "text/html", page(), page_policy())
        if asked.path == "/status":
            return self._send(HTTPStatus.OK, "application/json", json.dumps(watched.status).encode())
        if asked.path == "/report" and watched.report is not None:
            return self._send(HTTPStatus.OK, "text/html", watched.report, _REPORT_POLICY)
        return self._send(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")

    def _host(self) -> str:
        """Return the name in the header Host, without its port."""
        host = self.headers.get("Host", "").lower()
        name, separator, port = host.rpartition(":")
        return name if separator and port.isdigit() else host

    def _send(self, status: HTTPStatus, kind: str, body: bytes, policy: str = "default-src 'none'") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@cache
def page() -> bytes:
    """Return the page that follows a folder: its status, and below it the report in a frame."""
    text = _part("view.html")
    for mark, name in (("/*style*/", "view.css"), ("/*script*/", "view.js")):
        text = text.replace(mark, _part(name))
    return text.encode()


@cache
def page_policy() -> str:
    """Return the content security policy of that page: its own script and style, and requests to this server only."""
    script, style = (policy_hash(_part(name)) for name in ("view.js", "view.css"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; frame-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _part(name: str) -> str:
    return resources.files("evenhand.viewing").joinpath("page", name).read_text(encoding="utf-8")
