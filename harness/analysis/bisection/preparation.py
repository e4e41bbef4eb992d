"""From a configuration and a command line to what a bisection works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.bisection.bed import LocalBed, Variant
from harness.analysis.bisection.revision_tester import RevisionTester
from harness.analysis.bisection.submodel import Subject, layers_called
from harness.analysis.conversion.preparation import ModelPreparation
from harness.config.axes import with_flags, with_run
from harness.config.cells import inputs_of, model_of, run_of, to_ask
from harness.config.flags import resolve_flag_set
from harness.domain.spec import BuildSpec
from harness.execution.local_machine import LocalMachine
from harness.model.prepared_model import prepare_model
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.analysis.bisection.measurement import Memory
    from harness.build.builder import BuildWatch
    from harness.config.tables import Config
    from harness.domain.spec import FlagSet, Revision
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class BisectionSetup:
    """What to prepare."""

    config: Config
    base: Path
    """Folder that relative paths in the configuration refer to."""
    store: Store
    jobs: int
    input: str = ""
    """Name of the input; empty for the configuration's first."""
    layer: str = ""
    """Name or type of the layer that is asked for, which the model must have; empty for none."""
    retry_failed: bool = False
    remember: bool = True
    watch: BuildWatch | None = None
    """Who is told how far a build is."""
    revisions: Sequence[Revision]
    """What may be built to find out what the model's blobs hold."""
    flags: FlagSet
    say: Callable[[str], None] = lambda _: None


def revision_tester(request: BisectionSetup, session: Memory) -> RevisionTester:
    """Prepare model, input and reference, and return what measures revisions.

    Raises:
        HarnessError: as the preparation of a matrix.
    """
    config, store = request.config, request.store
    specs = {spec.name: spec for spec in inputs_of(config, request.base)}
    name = request.input or next(iter(specs))
    if name not in specs:
        raise UsageError(f"--input {name}: the configuration has {', '.join(specs)}. Choose one.")
    machine = LocalMachine.prepared(
        config,
        store,
        jobs=request.jobs,
        retry_failed=request.retry_failed,
        watch=request.watch,
    )
    model = prepare_model(model_of(config, request.base), store, config.limits.model_bytes)
    if request.layer:
        layers_called(model.graph, request.layer)
    preparation = ModelPreparation(
        machine=machine,
        model=model,
        builds=to_ask(
            config,
            request.base,
            [
                BuildSpec(revision=revision, flags=request.flags, layers=None)
                for revision in request.revisions
            ],
        ),
        say=request.say,
    )
    model = preparation.prove([specs[name], *(s for n, s in specs.items() if n != name)])
    whole = Subject(model=model, input=preparation.input(specs[name]))
    machine.check()
    return RevisionTester(
        bed=LocalBed(resolver=machine.resolver, runner=machine.cells),
        resolver=machine.resolver,
        whole=whole,
        session=session,
        remember=request.remember,
    )


def variant_of(config: Config, flags: str, run: str) -> Variant:
    """Return a configuration from what the user wrote, such as `avx2,NCNN_INT8=OFF`.

    Raises:
        UsageError: not the name of a set, or not a pair.
    """
    config, flag_set = with_flags(config, flags)
    config, options = with_run(config, run)
    return Variant(
        flags=resolve_flag_set(flag_set, config.flags, config.targets),
        run=run_of(options, config),
    )
