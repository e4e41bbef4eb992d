"""Package indexes that are gone, slow, broken off, or send something else."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from faults import index
from faults.fault import SAME, Fault, Start
from faults.index import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended
    from faults.stage import Stage

OFFLINE = "it ends with one line that names the index and the remedy"
SAYS = "index|network|hash|reached|download"


def _served(behaviour: Callable[[], index.Behaviour]) -> Callable[[Stage], Ended]:
    """Return what runs with an index that behaves so."""

    def strike(stage: Stage) -> Ended:
        stage.index.behaviour = behaviour()
        return stage.run()

    return strike


def _at(url: Callable[[], str]) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        return stage.run(env={"PIP_INDEX_URL": url()})

    return strike


def _not_needed(stage: Stage) -> Ended:
    """Run without network where everything is there."""
    return stage.run(env={"PIP_INDEX_URL": f"http://127.0.0.1:{closed_port()}/simple/"})


def _bomb(body: bytes) -> bytes:
    """Return an archive that is small, and large when it is unpacked."""
    del body
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9) as stream:
        member = tarfile.TarInfo("ncnn-1.0/src/zeros.cpp")
        member.size = 3 << 30
        stream.write(member.tobuf())
        block = bytes(1 << 20)
        for _ in range(member.size >> 20):
            stream.write(block)
    return raw.getvalue()


def _without_hash(change: Callable[[bytes], bytes]) -> index.Behaviour:
    """Return a behaviour that changes the archive and states no hash."""
    serve = index.changed(change, archive=True)

    def send(handler: index.Handler, body: bytes, archive: bool) -> None:
        serve(handler, body if archive else body.replace(b"#sha256=", b"#x="), archive)

    return send


def _escaping(body: bytes) -> bytes:
    """Return an archive whose paths lead outside."""
    del body
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name in (
            "ncnn-1.0/src/../../../../../../written-by-an-archive",
            "/written-by-an-archive",
        ):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
    return raw.getvalue()


def _fault(
    name: str,
    how: str,
    strike: Callable[[Stage], Ended],
    *,
    expected: str = OFFLINE,
    codes: tuple[int, ...] = (2, 3),
    says: str = SAYS,
    start: Start = "unfetched",
) -> Fault:
    return Fault(
        id=f"network-{name}",
        kind="network",
        where="the package index",
        how=how,
        expected=expected,
        codes=codes,
        says=says,
        strike=strike,
        start=start,
    )


def _noise(_body: bytes) -> bytes:
    return bytes(range(256)) * 40


def _login(_body: bytes) -> bytes:
    return b"<html>please log in</html>" * 99


def _nothing(_body: bytes) -> bytes:
    return b""


def _cut(body: bytes) -> bytes:
    return body[: len(body) // 3]


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


WORKS = "it tries again, and works"
FAULTS = (
    _fault(
        "refused",
        "nobody listens",
        _at(lambda: f"http://127.0.0.1:{closed_port()}/simple/"),
    ),
    _fault("unknown", "its name is unknown", _at(lambda: "http://index.invalid/simple/")),
    _fault(
        "not-needed",
        "nobody listens, and all is there",
        _not_needed,
        codes=(SAME,),
        says="",
        start="measured",
        expected="it works without",
    ),
    _fault(
        "slow",
        "the archive takes six seconds",
        _served(lambda: index.slowly(6.0)),
        codes=(SAME,),
        says="",
        expected="it works",
    ),
    _fault("silent", "it takes requests and never answers", _served(lambda: index.silent)),
    _fault(
        "breaks-off-once",
        "it hangs up within the archive, once",
        _served(lambda: index.breaking_off(1)),
        codes=(SAME,),
        says="",
        expected=WORKS,
    ),
    _fault(
        "breaks-off",
        "it hangs up within the archive, always",
        _served(lambda: index.breaking_off(-1)),
    ),
    _fault(
        "breaks-off-at-end",
        "it hangs up one byte in a hundred before the end, always",
        _served(lambda: index.breaking_off(-1, share=0.99)),
    ),
    _fault(
        "error-once",
        "error 503 for the archive, once",
        _served(lambda: index.answering(503, times=1, archive_only=True)),
        codes=(SAME, 2, 3),
        says="",
        expected="it tries again, or ends with one line",
    ),
    _fault("error", "error 500, always", _served(lambda: index.answering(500))),
    _fault(
        "missing",
        "error 404 for the archive",
        _served(lambda: index.answering(404, archive_only=True)),
    ),
    _fault("forbidden", "error 403", _served(lambda: index.answering(403))),
    _fault("redirects", "it redirects to itself", _served(lambda: index.answering(302))),
    _fault(
        "garbage-page",
        "a page of random bytes",
        _served(lambda: index.changed(_noise, archive=False)),
    ),
    _fault("empty-page", "an empty page", _served(lambda: index.changed(_nothing, archive=False))),
    _fault(
        "no-http",
        "bytes that are not HTTP",
        _served(lambda: index.raw(b"\x00\x15\x03\x01 SSH-2.0-x\r\n\r\n")),
    ),
    _fault("endless", "a page without an end", _served(lambda: index.endless)),
    _fault(
        "truncated",
        "the archive is cut off, and its length is right",
        _served(lambda: index.changed(_cut, archive=True)),
    ),
    _fault(
        "flipped",
        "one bit of the archive is wrong",
        _served(lambda: index.changed(_flipped, archive=True)),
    ),
    _fault(
        "no-archive",
        "the archive is a page, without a stated hash",
        _served(lambda: _without_hash(_login)),
        says="archive|damaged|hash|index",
    ),
    _fault(
        "no-source",
        "the archive is cut off, without a stated hash",
        _served(lambda: _without_hash(_cut)),
        says="archive|damaged|truncated|hash|index",
    ),
    _fault(
        "escaping",
        "the archive's paths lead outside, without a stated hash",
        _served(lambda: _without_hash(_escaping)),
        says="outside|hash|index",
    ),
    _fault(
        "bomb",
        "the archive has 3 GiB of zeros, without a stated hash",
        _served(lambda: _without_hash(_bomb)),
        says="large|size|limit|source|hash",
    ),
)
