"""Coverage-guided fuzzing: `python -m tests.fuzz --seconds 60 [--parser NAME] [--keep]`.

atheris (libFuzzer for Python) looks for inputs that reach new code. What is not documented is an
error here: of each kind, told apart by its type and place, the shortest input is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("fuzz-found")
"""Where inputs go that show a mistake; move them to the corpus when it is repaired."""
INPUT_SECONDS, INPUT_MEBIBYTES, LONGEST = 20, 3072, 4096


def main(arguments: list[str] | None = None) -> int:
    """Fuzz each parser in a process of its own; return 1 if there is anything new."""
    parser = argparse.ArgumentParser(prog="nox -s fuzz --")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="in all")
    parser.add_argument("--parser", action="append", default=[], metavar="NAME", help="only this")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        return _fuzz(options.child, options.seconds)
    # Importing all of them takes a while, which the child does.
    known = sorted(path.name for path in CORPUS.iterdir())
    if unknown := set(options.parser) - set(known):
        parser.error(f"no parser {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    names = options.parser or known
    seconds = max(1, options.seconds // len(names))
    bad = []
    for name in names:
        print(f"{name}: {seconds} s", flush=True)
        words = [sys.executable, "-m", "tests.fuzz", "--child", name, "--seconds", str(seconds)]
        if subprocess.run(words, check=False).returncode:
            bad.append(name)
    print(f"{len(names)} parsers; mistakes in: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


def _fuzz(name: str, seconds: int) -> int:
    """Fuzz one parser in this process, which libFuzzer ends."""
    import atheris

    # Where coverage is measured.
    with atheris.instrument_imports(include=["harness", "simpleeval", "tomllib"]):
        from tests.fuzz import parsers

    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, int] = {}

    def one(data: bytes) -> None:
        try:
            parsers.run(name, data)
        except Exception as error:
            kind = _kind(error)
            if len(data) < kinds.get(kind, sys.maxsize):
                kinds[kind] = len(data)
                digest = hashlib.sha256(kind.encode()).hexdigest()[:12]
                (folder / digest).write_bytes(data)
                (folder / f"{digest}.txt").write_text(f"{kind}\n\n{traceback.format_exc()}")
                print(f"{name}: {kind}: {data[:80]!r}", flush=True)

    with tempfile.TemporaryDirectory() as grown:
        seeds = CORPUS / name
        words = [
            *(sys.argv[0], grown, str(seeds), f"-max_total_time={seconds}"),
            *(f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={INPUT_MEBIBYTES}"),
            *(
                f"-max_len={LONGEST}",
                f"-artifact_prefix={folder}/",
                "-verbosity=0",
                "-print_final_stats=0",
            ),
        ]
        before = set(folder.iterdir())
        pid = os.fork()
        if pid == 0:
            atheris.Setup(words, one)
            atheris.Fuzz()
        _, status = os.waitpid(pid, 0)
        new = set(folder.iterdir()) - before
    return 1 if new or status else 0


def _kind(error: Exception) -> str:
    """Return what tells mistakes apart: the type, and the innermost place in the harness."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/harness/" in f.filename or "/tests/fuzz/" in f.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return (
        f"{type(error).__name__} at {place}: {str(error)[:80]}"
        if not own
        else (f"{type(error).__name__} at {place}")
    )


if __name__ == "__main__":
    sys.exit(main())
