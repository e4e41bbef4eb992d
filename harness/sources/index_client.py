"""The HTTP client for package indexes, which takes no more than any index sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx2
from unearth.fetchers import PyPIClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE_BYTES = 64 << 20
"""Of a page with links, unpacked; the longest of the public index has some 20 MB."""
PAGE_SECONDS = 300.0
"""How long a page may take."""
FILE_BYTES = 4 << 30
"""Of a distribution file."""


class IndexClient(PyPIClient):
    """Refuses pages and files without end; `timeout` alone lets those pass that keep sending."""

    def send(
        self, request: httpx2.Request, *, stream: bool = False, **others: Any
    ) -> httpx2.Response:
        """Send a request and return the answer.

        Raises:
            httpx2.RequestError: the answer is larger, or takes longer, than any should.
        """
        response = super().send(request, stream=True, **others)
        if stream:
            assert isinstance(response.stream, httpx2.SyncByteStream)
            response.stream = _Bounded(response.stream)
            return response
        try:
            deadline = time.monotonic() + PAGE_SECONDS
            content = b"".join(_within(response.iter_bytes(), PAGE_BYTES, deadline))
        finally:
            response.close()
        # It is unpacked, and has another length.
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            content=content,
            request=response.request,
            extensions=response.extensions,
            history=response.history,
        )


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from _within(self._stream, FILE_BYTES, deadline=float("inf"))

    def close(self) -> None:
        self._stream.close()


def _within(chunks: Iterable[bytes], most: int, deadline: float) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise httpx2.RequestError(f"more than {most / 2**20:.3g} MiB")
        if time.monotonic() > deadline:
            raise httpx2.RequestError(f"not complete after {PAGE_SECONDS:.0f} s")
        yield chunk
