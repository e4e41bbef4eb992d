"""Files of the store and of results that are cut off, changed, emptied, deleted or exchanged."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from faults.catalogue import moments
from faults.catalogue.changes import (
    cut,
    dangling,
    delete,
    digit,
    empty,
    flip,
    folder,
    garbage,
    null,
    other_hex,
    rot,
    source_text,
    wrong,
)
from faults.fault import SAME, Fault, Start
from faults.run import NeverHappenedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.catalogue.changes import Change
    from faults.run import Ended
    from faults.stage import Stage


SAYS = r"damaged|set aside|made again|does not match"
HEALS = "it is noticed, said once, set aside and made again"
MISSED = "it is made again"


def _on(pattern: str, change: Change, *words: str, one: bool = False) -> Callable[[Stage], Ended]:
    """Return what changes the files of a pattern below the stage, and runs."""

    def strike(stage: Stage) -> Ended:
        found = sorted(stage.root.glob(pattern))
        if not found:
            raise NeverHappenedError
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
    )


def _several(
    name: str,
    what: str,
    pattern: str,
    changes: tuple[Change, ...],
    start: Start,
    *,
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
            one=one,
        )
        for change in changes
    )


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
SEAL = "store/modules/2*/seal.json"
MEASURED = "store/measurements/*/record"
FAULTS = (
    *_several("download", "the archive", ARCHIVE, (cut, flip, delete), "fetched"),
    *_several(
        "source",
        "a source file",
        f"{SOURCE}/src/mat.cpp",
        (cut, delete),
        "fetched",
    ),
    _fault(
        "source",
        "a source file",
        f"{SOURCE}/src/layer/x86/innerproduct_fp.h",
        source_text,
        "cold",
    ),
    *_several("source-tree", "the source tree", SOURCE, (delete,), "fetched"),
    *_several(
        "source-digest",
        "the digest of the source",
        "store/sources/index-*/digest",
        (empty, other_hex, delete),
        "measured",
    ),
    *_several("module", "the libraries", MODULE, (cut, empty, rot, delete), "built"),
    Fault(
        id="damaged-module-exchanged",
        kind="damaged",
        where="the libraries, between two runs",
        how="one build's in the place of another's",
        expected=HEALS,
        says=SAYS,
        strike=_exchanged,
    ),
    *_several("seal", "seals of builds", SEAL, (null, garbage, wrong), "built"),
    *_several(
        "module-record",
        "records of builds",
        MODULE_RECORD,
        (cut, empty, null, delete, folder),
        "built",
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
    ),
    *_several("reference", "references", VALUES, (cut, empty, rot, delete), "built"),
    *_several(
        "reference-manifest",
        "tables of contents of references",
        MANIFEST,
        (cut, null, delete),
        "built",
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
    ),
    *_several(
        "sizes",
        "what entries of the store take",
        "store/sizes",
        (cut, null, wrong, folder),
        "fetched",
    ),
    *_several(
        "probes",
        "what compilers answered",
        "store/probes/*.cmake",
        (cut, garbage, empty),
        "fetched",
    ),
    *(
        replace(
            _fault(
                "cache",
                "what the compiler cache keeps",
                "store/objects/sccache/?/?/*",
                change,
                "fetched",
                says="",
            ),
            expected="the compiler cache finds it out by itself, and it is compiled again",
        )
        for change in (cut, flip, empty, garbage)
    ),
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
