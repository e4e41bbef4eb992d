"""`reproducer`: a finding as programs that ncnn's maintainers can run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.bisection.measurement import Memory
from harness.analysis.bisection.preparation import BisectionSetup, revision_tester
from harness.analysis.bisection.submodel import layers_called, part_of
from harness.build.builder import Builder
from harness.build.resolver import BuildResolver
from harness.cases.layer_case import parse_case
from harness.cases.sample import BIN, PARAM, sample_of
from harness.commands import argument_types as types
from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_jobs,
    add_locked,
    add_model,
    add_repo,
    configured,
)
from harness.commands.places import REPRODUCERS
from harness.commands.reproduction import config_words
from harness.config.axes import with_flags, with_run
from harness.config.cells import revision_of, run_of
from harness.config.flags import resolve_flag_set
from harness.model.weights import read_weights
from harness.report.console import Ticker, saying, wide_console
from harness.reproducers.checking import Checker
from harness.reproducers.model_layer import recorded_sample
from harness.reproducers.outcome import shortcomings
from harness.reproducers.reproducer import Side, reproducer_of
from harness.reproducers.texts import KIB, files_of, readme_text
from harness.sources.checkout import is_url
from harness.util.build_store import Store
from harness.util.codes import Code
from harness.util.errors import EXIT_NOT_REPRODUCIBLE, EXIT_OK, UsageError
from harness.util.files import write_atomically
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.cases.sample import Sample
    from harness.config.tables import Config
    from harness.reproducers.outcome import SideOutcome
    from harness.reproducers.reproducer import Reproducer

HELP = "write a finding as a test for ncnn's tree and as a program, and try both"
DESCRIPTION = """\
Writes one layer that is right on one side and wrong on the other as what ncnn's maintainers ask
for: a test for ncnn's own tree, and a program by itself that links with libncnn. All numbers are in
their text: weights, inputs, and what should come out by ncnn's definition of the layer in float64.
Both are compiled and run on the good and the bad side; README.md is there to paste into an issue.
"""
EXAMPLES = """\
examples:
  nox -s reproducer -- --case Softmax:0=0:3x7 --run num_threads=2 \\
      --repo ../ncnn --good 20241226 --bad 20250503     two versions, one set of options
  nox -s reproducer -- --case LayerNorm:0=12:8x12 --repo ../ncnn --good 20240820 --bad 20241226
  nox -s reproducer -- --case InnerProduct:0=8,1=1,2=960:120 --bad 20250503 --good-run fp16-off
                                                        one version, two sets of options
  nox -s reproducer -- --config configs/mine.toml --layer fc_1 --input short --bad 20250503 \\
      --good 20260526                                   a layer of a model, with its own numbers
  nox -s reproducer -- --case Softmax:0=0:3x7 --bad 20250503 --no-check
                                                        write only

A case is TYPE:PARAMETERS:SHAPES, with the parameters as in a .param file and shapes with the
outermost axis first. SET is as for bisect: fp16-off, num_threads=2 or avx2,NCNN_INT8=OFF. Releases
of the package index come without ncnn's tests: the test is tried on versions of a clone (--repo).
"""
EXITS = {
    EXIT_OK: "both programs fail on the bad side and pass on the good one (or were only written)",
    EXIT_NOT_REPRODUCIBLE: "they do not; README.md says what they do",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    layer = parser.add_argument_group("the layer: made up, or of a model")
    layer.add_argument(
        "--case", type=types.text, default="", metavar="ID", help="a layer with made-up numbers"
    )
    layer.add_argument(
        "--layer",
        type=types.name,
        default="",
        metavar="NAME",
        help="a layer of the configuration's model",
    )
    layer.add_argument(
        "--input",
        type=types.name,
        default="",
        metavar="NAME",
        help="the model's input (default: the first)",
    )
    add_config(layer)
    add_model(layer)
    sides = parser.add_argument_group("the sides")
    add_repo(sides)
    sides.add_argument(
        "--bad", type=types.name, required=True, metavar="V", help="the version that is wrong"
    )
    sides.add_argument(
        "--good",
        type=types.name,
        default="",
        metavar="V",
        help="one that is right (default: as --bad, if --good-flags or --good-run differ)",
    )
    sides.add_argument(
        "--flags",
        type=types.text,
        default="",
        metavar="SET",
        help="build flags (default: [bisect] flags of the configuration)",
    )
    sides.add_argument(
        "--good-flags", type=types.text, default="", metavar="SET", help="default: as --flags"
    )
    sides.add_argument(
        "--run",
        type=types.text,
        default="default",
        metavar="SET",
        help="run options (default: %(default)s)",
    )
    sides.add_argument(
        "--good-run", type=types.text, default="", metavar="SET", help="default: as --run"
    )
    text = parser.add_argument_group("what is written")
    text.add_argument(
        "--limit",
        type=types.error,
        metavar="X",
        help="error to allow, relative to the largest expected value (default: by [tolerance] and "
        "what single precision costs here)",
    )
    text.add_argument(
        "--name", type=types.name, default="", help="what to call it (default: after the shapes)"
    )
    text.add_argument(
        "--commit", type=types.commit, default="", help="commit that is known to have brought it in"
    )
    text.add_argument(
        "--max-kib",
        type=types.kib,
        default=KIB,
        metavar="N",
        help="how long a program may be, in KiB (default: %(default)s)",
    )
    text.add_argument(
        "--out",
        type=types.directory,
        metavar="DIR",
        help="folder for the files (default: results/reproducers/NAME)",
    )
    text.add_argument("--no-check", action="store_true", help="do not compile and run it")
    add_jobs(parser)
    add_builds(parser)
    add_locked(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if bool(options.case) == bool(options.layer):
        raise UsageError("Give either --case or --layer, the name of a layer of the model.")
    config = configured(options)
    base = options.config.resolve().parent
    sides = _sides(options, config, base)
    console = wide_console()
    store = Store(root=options.builds.resolve())
    with saying(console, "writing") as say, scratch_directory("reproducer-") as scratch:
        made = _Making(options=options, config=config, base=base, sides=sides, store=store, say=say)
        reproducer = made.reproducer(scratch)
        reproducer.sample.write(scratch)
        bin_data = (scratch / BIN).read_bytes()
        files = files_of(reproducer, bin_data, kib=options.max_kib)
        folder: Path = options.out or REPRODUCERS / reproducer.name
        for name, text in files.items():
            write_atomically(folder / name, text)
        write_atomically(folder / PARAM, (scratch / PARAM).read_bytes())
        write_atomically(folder / BIN, bin_data)
        outcomes: Sequence[SideOutcome] = ()
        if not options.no_check:
            resolver = made.resolver(console)
            checker = Checker(resolver=resolver, logs=(folder / "logs").absolute(), say=say)
            outcomes = checker.check(reproducer, files)
        write_atomically(folder / "README.md", readme_text(reproducer, outcomes))
    return _conclude(console, folder, outcomes)


@dataclass(frozen=True, kw_only=True)
class _Making:
    """From the command line to a reproducer."""

    options: argparse.Namespace
    config: Config
    base: Path
    sides: Sequence[Side]
    store: Store
    say: Callable[[str], None]

    def reproducer(self, scratch: Path) -> Reproducer:
        """Return what is to be written."""
        options = self.options
        sample = sample_of(parse_case(options.case)) if options.case else self._recorded(scratch)
        title = ""
        if options.layer:
            title = (
                f"{sample.case.type} {options.layer} of {self.config.model.name}, with its weights "
                "and what reaches it"
            )
        return reproducer_of(
            sample,
            self.sides,
            tolerance=self.config.tolerance,
            command=_command(options),
            title=title,
            limit=options.limit,
            name=options.name or options.layer,
            commit=options.commit,
        )

    def _recorded(self, scratch: Path) -> Sample:
        """Return a layer of the model with its weights and the reference's values."""
        bad = self.sides[-1]
        request = BisectionSetup(
            config=self.config,
            base=self.base,
            store=self.store,
            jobs=self.options.jobs,
            input=self.options.input,
            revisions=[bad.revision],
            flags=bad.flags,
            say=self.say,
        )
        whole = revision_tester(request, Memory(path=scratch / "measurements.jsonl")).whole
        names = layers_called(whole.model.graph, self.options.layer)
        if len(names) > 1:
            raise UsageError(
                f"--layer {self.options.layer}: {len(names)} layers are of this type. Give the "
                f"name of one, such as {names[0]}."
            )
        alone = part_of(whole, names, self.store)
        layer = alone.model.graph.layer(names[0])
        weights = read_weights(alone.model.graph, alone.model.bin)
        inputs = [np.load(alone.input.feeds[blob]) for blob in layer.inputs]
        return recorded_sample(layer, weights.get(layer.name, {}), inputs)

    def resolver(self, console: Console) -> BuildResolver:
        """Return where builds come from."""
        return BuildResolver(
            builder=Builder(
                store=self.store,
                jobs=self.options.jobs,
                timeout=self.config.limits.build_seconds,
                watch=Ticker(console, at_once=False).build_advanced,
            )
        )


def _sides(options: argparse.Namespace, config: Config, base: Path) -> list[Side]:
    """Return both sides, the good one first, or the bad one alone."""
    flags = options.flags or config.bisect.flags
    bad = _side(config, base, True, options.bad, flags, options.run)
    if not (options.good or options.good_flags or options.good_run):
        return [bad]
    good = _side(
        config,
        base,
        False,
        options.good or options.bad,
        options.good_flags or flags,
        options.good_run or options.run,
    )
    if (good.revision, good.flags, good.run) == (bad.revision, bad.flags, bad.run):
        raise UsageError(
            "Both sides are the same. Give another --good, --good-flags or --good-run.",
            code=Code.ENDS_ALIKE,
        )
    return [good, bad]


def _side(config: Config, base: Path, is_bad: bool, version: str, flags: str, run: str) -> Side:
    config, flag_set = with_flags(config, flags)
    config, run_set = with_run(config, run)
    return Side(
        is_bad=is_bad,
        revision=revision_of(version, config, base),
        flags=resolve_flag_set(flag_set, config.flags, config.targets),
        run=run_of(run_set, config),
    )


def _command(options: argparse.Namespace) -> str:
    """Return the command line without what only this machine knows."""
    words = config_words(options)
    for name in ("case", "layer", "input", "good", "bad", "flags", "good_flags", "good_run"):
        value = getattr(options, name)
        words += [f"--{name.replace('_', '-')}", value] if value else []
    words += ["--run", options.run] if options.run != "default" else []
    words += ["--limit", str(options.limit)] if options.limit else []
    if options.repo:
        words += ["--repo", options.repo if is_url(options.repo) else "ncnn"]
    return f"nox -s reproducer -- {shlex.join(words)}"


def _conclude(console: Console, folder: Path, outcomes: Sequence[SideOutcome]) -> int:
    for side in outcomes:
        where = f"{side.side.words} ({side.side.revision.label}, {side.side.run.name})"
        for name, each in (("alone", side.alone), ("test", side.test)):
            console.print(
                f"{where}, {name}: {each.fate}: {each.detail}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    missing = shortcomings(outcomes)
    for line in missing:
        console.print(
            f"does not reproduce outside of the harness: {line}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"written: {folder}", highlight=False, soft_wrap=True)
    return EXIT_NOT_REPRODUCIBLE if missing else EXIT_OK
