"""Files of the store and of results that are cut off, changed, emptied, deleted or exchanged."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from faults.catalogue import moments
from faults.fault import SAME, Fault, Start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.run import Ended
    from faults.stage import Stage

    Change = Callable[[Path], None]

SAYS = r"damaged|set aside|made again|does not match"
HEALS = "it is noticed, said once, set aside and made again"
MISSED = "it is made again"


def cut(path: Path) -> None:
    """cut off in the middle"""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """empty"""
    os.truncate(path, 0)


def flip(path: Path) -> None:
    """one bit flipped in each 4 KiB"""
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2 % 4096, len(data), 4096):
        data[place] ^= 0x40
    path.write_bytes(data)


def null(path: Path) -> None:
    """`null`"""
    path.write_text("null", encoding="ascii")


def wrong(path: Path) -> None:
    """JSON of another shape"""
    path.write_text('[{"a": -1e999}, "\\u2028"]', encoding="ascii")


def garbage(path: Path) -> None:
    """random bytes"""
    path.write_bytes(bytes((i * 167 + 13) % 256 for i in range(3000)))


def delete(path: Path) -> None:
    """deleted"""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder(path: Path) -> None:
    """a directory in its place"""
    path.unlink(missing_ok=True)
    path.mkdir()


def dangling(path: Path) -> None:
    """a link that leads nowhere in its place"""
    delete(path)
    path.symlink_to("nowhere")


def digit(path: Path) -> None:
    """digits changed"""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"scale_relative":', '"scale_relative":1'), encoding="utf-8")


def other_hex(path: Path) -> None:
    """another digest"""
    path.write_text("0" * 64, encoding="ascii")


def source_text(path: Path) -> None:
    """other arithmetic in it"""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("sum += ", "sum += 0.001f + "), encoding="utf-8")


def _on(pattern: str, change: Change, *words: str, one: bool = False) -> Callable[[Stage], Ended]:
    """Return what changes the files of a pattern below the stage, and runs."""

    def strike(stage: Stage) -> Ended:
        found = sorted(stage.root.glob(pattern))
        assert found, pattern
        for path in found[:1] if one else found:
            change(path)
        return stage.run(*words)

    return strike


def _fault(
    name: str,
    what: str,
    pattern: str,
    change: Change,
    start: Start,
    *,
    says: str = SAYS,
    short: bool = False,
    one: bool = False,
) -> Fault:
    how = (change.__doc__ or "").strip()
    return Fault(
        id=f"damaged-{name}-{change.__name__.replace('_', '-')}",
        kind="damaged",
        where=f"{what}, between two runs",
        how=how,
        expected=HEALS if says else MISSED,
        says=says,
        strike=_on(pattern, change, one=one),
        start=start,
        short=short,
    )


def _several(
    name: str,
    what: str,
    pattern: str,
    changes: tuple[Change, ...],
    start: Start,
    *,
    short: tuple[Change, ...] = (),
    one: bool = False,
) -> tuple[Fault, ...]:
    return tuple(
        _fault(
            name,
            what,
            pattern,
            change,
            start,
            says="" if change is delete else SAYS,
            short=change in short,
            one=one,
        )
        for change in changes
    )


def rot(path: Path) -> None:
    """one bit flipped in each 4 KiB, with dates as before"""
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _meanwhile(pattern: str, change: Change) -> Callable[[Stage], Ended]:
    """Return what changes files while cells are measured with them."""

    def strike(stage: Stage) -> Ended:
        run = stage.start()
        moments.measuring(stage, run)
        for path in sorted(stage.root.glob(pattern)):
            change(path)
        return run.ended()

    return strike


def _meanwhile_fault(name: str, what: str, pattern: str, change: Change) -> Fault:
    return Fault(
        id=f"damaged-meanwhile-{name}-{change.__name__}",
        kind="damaged",
        where=f"{what}, while cells are measured",
        how=(change.__doc__ or "").strip(),
        expected="nothing that was measured with it is kept, and ncnn is not blamed",
        codes=(SAME, 0, 3),
        strike=_meanwhile(pattern, change),
        short=change is cut,
    )


def _exchanged(stage: Stage) -> Ended:
    """Put the library of one build in the place of another's."""
    one, other = sorted(stage.store.glob("modules/2*/harness_core.so"))
    shutil.copyfile(other, one)
    return stage.run()


def _failed_before(stage: Stage) -> Ended:
    """Leave a remembered failure whose record is damaged."""
    module = sorted(stage.store.glob("modules/2*"))[0]
    place = stage.store / "failures" / module.name
    place.parent.mkdir(exist_ok=True)
    module.rename(place)
    null(place / "record.json")
    return stage.run()


def unfinished(stage: Stage) -> Path:
    """Make the stage's finished run one that was interrupted half way, and return its directory."""
    run = sorted(stage.results.iterdir())[-1]
    state = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**state, "finished": False}), encoding="utf-8")
    lines = (run / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (run / "cells.jsonl").write_bytes(b"".join(lines[:4]))
    for path in run.iterdir():
        if path.name.startswith(("report", "layers")):
            delete(path)
    return run


def _line(line: bytes) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        cells = unfinished(stage) / "cells.jsonl"
        first, _, rest = cells.read_bytes().partition(b"\n")
        cells.write_bytes(first + b"\n" + line + rest)
        return stage.run()

    return strike


def _torn(stage: Stage) -> Ended:
    cells = unfinished(stage) / "cells.jsonl"
    os.truncate(cells, cells.stat().st_size - 700)
    return stage.run()


def _state(change: Change) -> Callable[[Stage], Ended]:
    """Damage what says how far a run is, beside an interrupted run that is to be continued."""

    def strike(stage: Stage) -> Ended:
        run = unfinished(stage)
        other = run.with_name("20990101-000000-one")
        shutil.copytree(run, other)
        change(other / "run.json")
        return stage.run()

    return strike


def _state_fault(change: Change, *, short: bool = False) -> Fault:
    how = (change.__doc__ or "").strip()
    return Fault(
        id=f"damaged-state-{change.__name__.replace('_', '-')}",
        kind="damaged",
        where="`run.json` of another run, before an interrupted one is continued",
        how=how,
        expected="that run is passed over, and the interrupted one is continued",
        strike=_state(change),
        start="measured",
        short=short,
    )


def _line_fault(name: str, how: str, line: bytes, *, short: bool = False) -> Fault:
    return Fault(
        id=f"damaged-records-{name}",
        kind="damaged",
        where="`cells.jsonl` of an interrupted run, between whole lines",
        how=how,
        expected="that line is counted, kept and left out; the others hold",
        strike=_line(line),
        start="measured",
        short=short,
    )


def _aged(seconds: float) -> Callable[[Stage], Ended]:
    """Return what gives all of the store another date."""

    def strike(stage: Stage) -> Ended:
        for path in stage.store.rglob("*"):
            os.utime(path, (seconds, seconds), follow_symlinks=False)
        return stage.run()

    return strike


def _rubbish(stage: Stage) -> Ended:
    """Leave what interrupted runs and people leave."""
    for name in ("modules/.20250503-avx2-0.0123456789ab", "work/slot-0/build", "references/.x.1"):
        place = stage.store / name
        place.mkdir(parents=True, exist_ok=True)
        garbage(place / "half.o")
    garbage(stage.store / "modules" / "notes.txt")
    (stage.store / "modules" / "loop").symlink_to("loop")
    (stage.results / "loop").symlink_to("loop")
    garbage(stage.results / "notes.txt")
    (stage.results / "empty").mkdir()
    return stage.run()


ARCHIVE = "store/sources/downloads/ncnn/*/*.tar.gz"
SOURCE = "store/sources/index-*/source"
MODULE = "store/modules/2*/harness_core.so"
MODULE_RECORD = "store/modules/2*/record.json"
VALUES = "store/references/*/values.bin"
MANIFEST = "store/references/*/manifest.json"
MEASURED = "store/measurements/*/record.json"
FAULTS = (
    *_several("download", "the archive", ARCHIVE, (cut, flip, delete), "fetched", short=(flip,)),
    *_several(
        "source",
        "a source file",
        f"{SOURCE}/src/mat.cpp",
        (cut, delete),
        "fetched",
        short=(delete,),
    ),
    _fault(
        "source",
        "a source file",
        f"{SOURCE}/src/layer/x86/innerproduct_fp.h",
        source_text,
        "cold",
        short=True,
    ),
    *_several("source-tree", "the source tree", SOURCE, (delete,), "fetched"),
    *_several(
        "source-digest",
        "the digest of the source",
        "store/sources/index-*/digest",
        (empty, other_hex, delete),
        "measured",
        short=(other_hex, delete),
    ),
    *_several("module", "the libraries", MODULE, (cut, empty, rot, delete), "built", short=(rot,)),
    Fault(
        id="damaged-module-exchanged",
        kind="damaged",
        where="the libraries, between two runs",
        how="one build's in the place of another's",
        expected=HEALS,
        says=SAYS,
        strike=_exchanged,
        short=True,
    ),
    *_several(
        "module-record",
        "records of builds",
        MODULE_RECORD,
        (cut, empty, null, delete, folder),
        "built",
        short=(null,),
    ),
    Fault(
        id="damaged-failure-null",
        kind="damaged",
        where="the record of a failed build, between two runs",
        how="`null`",
        expected="the build is made again",
        strike=_failed_before,
    ),
    *_several(
        "binding",
        "the Python binding",
        "store/modules/binding-*/*.so",
        (cut, empty, flip),
        "built",
        short=(cut,),
    ),
    *_several(
        "reference", "references", VALUES, (cut, empty, rot, delete), "built", short=(rot, delete)
    ),
    *_several(
        "reference-manifest",
        "tables of contents of references",
        MANIFEST,
        (cut, null, delete),
        "built",
        short=(null,),
    ),
    *_several(
        "feeds",
        "arrays that are fed to ncnn",
        "store/references/feeds-*/*.npy",
        (cut, flip, delete),
        "built",
    ),
    *_several(
        "references",
        "one reference's directory",
        "store/references/*",
        (delete, dangling),
        "built",
        one=True,
    ),
    *_several(
        "measurement",
        "remembered measurements",
        MEASURED,
        (cut, null, digit, garbage),
        "measured",
        short=(digit,),
    ),
    *_several("sizes", "`sizes.json`", "store/sizes.json", (cut, null, wrong, folder), "fetched"),
    *_several(
        "probes",
        "what compilers answered",
        "store/probes/*.cmake",
        (cut, garbage, empty),
        "fetched",
        short=(cut,),
    ),
    *_several(
        "cache",
        "what the compiler cache keeps",
        "store/objects/sccache/?/?/*",
        (cut, flip, empty, garbage),
        "fetched",
        short=(flip,),
    ),
    *(
        _state_fault(change, short=change in (null, cut))
        for change in (cut, empty, null, wrong, garbage, delete, folder)
    ),
    Fault(
        id="damaged-records-torn",
        kind="damaged",
        where="`cells.jsonl` of an interrupted run",
        how="its last line cut off",
        expected="that cell is measured again, and no other",
        strike=_torn,
        start="measured",
        loses=True,
        short=True,
    ),
    _line_fault("latin-1", "a line that is not UTF-8", b'{"cell": "caf\xe9"}\n', short=True),
    _line_fault("null", "a line that is `null`", b"null\n"),
    _line_fault("nul-bytes", "zeros, as after a loss of power", b"\0" * 5000 + b"\n", short=True),
    _line_fault("deep", "JSON that is nested 100 000 deep", b"[" * 100_000 + b"\n"),
    _line_fault("number", "a number of 5000 digits", b'{"threads": ' + b"9" * 5000 + b"}\n"),
    _meanwhile_fault("module", "the libraries", MODULE, cut),
    _meanwhile_fault("module", "the libraries", MODULE, delete),
    _meanwhile_fault("reference", "references", VALUES, flip),
    Fault(
        id="damaged-dates-future",
        kind="damaged",
        where="dates of all files in the store, between two runs",
        how="the year 2100",
        expected="nothing in use is pruned",
        strike=_aged(4102444800.0),
        short=True,
    ),
    Fault(
        id="damaged-dates-past",
        kind="damaged",
        where="dates of all files in the store, between two runs",
        how="the year 1970",
        expected="nothing in use is pruned",
        strike=_aged(1.0),
        start="fetched",
    ),
    Fault(
        id="damaged-rubbish",
        kind="damaged",
        where="store and results, between two runs",
        how="half-made directories, links that lead to themselves, files that belong to nobody",
        expected="they are passed over",
        strike=_rubbish,
        start="fetched",
        short=True,
    ),
    Fault(
        id="damaged-locks-deleted",
        kind="damaged",
        where="the store's locks, between two runs",
        how="deleted",
        expected="they are made again",
        strike=_on("store/locks", delete),
        codes=(SAME,),
    ),
)
