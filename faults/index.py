"""A package index on this machine, which serves one release as well or as badly as it is told."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Handler = BaseHTTPRequestHandler
"""What a behaviour gets: the request, with a socket to answer it."""
Behaviour = Callable[[BaseHTTPRequestHandler, bytes, bool], None]
"""Answers a request: handler, what a good index would send, whether that is the archive."""


def well(handler: Handler, body: bytes, archive: bool) -> None:
    """Send what is asked for."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/gzip" if archive else "text/html")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@dataclass(kw_only=True)
class Index:
    """Serves one project with one archive."""

    project: str = "ncnn"
    archive: Path | None = None
    behaviour: Behaviour = well
    requests: int = 0
    """How many times somebody asked for the archive."""
    _server: ThreadingHTTPServer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Listen at a free port of this machine, and nowhere else."""
        index = self

        class Request(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Request)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """The address for pip's `index-url`."""
        return f"http://127.0.0.1:{self.port}/simple/"

    def reset(self) -> None:
        """Serve well again."""
        self.behaviour, self.requests = well, 0

    def answer(self, handler: Handler) -> None:
        """Answer one request as the behaviour says; whoever asks may hang up."""
        assert self.archive is not None
        wants_archive = handler.path.endswith(self.archive.name)
        body = self.archive.read_bytes() if wants_archive else self._page()
        if not wants_archive and f"/{self.project}/" not in handler.path:
            handler.send_error(404)
            return
        self.requests += wants_archive
        with suppress(OSError):
            self.behaviour(handler, body, wants_archive)

    def _page(self) -> bytes:
        assert self.archive is not None
        digest = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        name = self.archive.name
        return f'<html><a href="../../files/{name}#sha256={digest}">{name}</a></html>'.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def slowly(seconds: float) -> Behaviour:
    """Return a behaviour that takes a while for the archive, a piece at a time."""

    def send(handler: Handler, body: bytes, archive: bool) -> None:
        if not archive:
            return well(handler, body, archive)
        pieces = 40
        size = len(body) // pieces + 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body), size):
            handler.wfile.write(body[start : start + size])
            time.sleep(seconds / pieces)
        return None

    return send


def breaking_off(times: int, *, share: float = 0.5) -> Behaviour:
    """Return a behaviour that hangs up within the archive, the first few times."""
    left = [times]

    def send(handler: Handler, body: bytes, archive: bool) -> None:
        if not archive or left[0] == 0:
            return well(handler, body, archive)
        left[0] -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: int(len(body) * share)])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        return None

    return send


def answering(status: int, *, times: int = -1, archive_only: bool = False) -> Behaviour:
    """Return a behaviour that answers with an error, always or the first few times."""
    left = [times]

    def send(handler: Handler, body: bytes, archive: bool) -> None:
        if (archive_only and not archive) or left[0] == 0:
            return well(handler, body, archive)
        left[0] -= 1
        if status in (301, 302):
            handler.send_response(status)
            handler.send_header("Location", handler.path)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            handler.send_error(status)
        return None

    return send


def changed(change: Callable[[bytes], bytes], *, archive: bool) -> Behaviour:
    """Return a behaviour that sends the archive, or the page, changed."""

    def send(handler: Handler, body: bytes, is_archive: bool) -> None:
        well(handler, change(body) if is_archive == archive else body, is_archive)

    return send


def raw(answer: bytes) -> Behaviour:
    """Return a behaviour that sends bytes that are not HTTP, and hangs up."""

    def send(handler: Handler, body: bytes, archive: bool) -> None:
        del body, archive
        handler.wfile.write(answer)
        handler.close_connection = True

    return send


def silent(handler: Handler, body: bytes, archive: bool) -> None:
    """Take the request and never answer."""
    del handler, body, archive
    time.sleep(60)


def endless(handler: Handler, body: bytes, archive: bool) -> None:
    """Send a page that has no end."""
    del body, archive
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    while True:
        handler.wfile.write(b"<a href='x'>x</a>\n" * 4096)
