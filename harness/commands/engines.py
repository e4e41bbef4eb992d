"""Which engine runs cells: this machine, or a cluster that is there already."""

from __future__ import annotations

import importlib
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.build.toolchain import layer_arch
from harness.commands import argument_types as types
from harness.config.pinning import in_force
from harness.execution.engine import LocalEngine
from harness.execution.making import Maker
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from harness.build.builder import BuildWatch
    from harness.cluster.connection import Cluster
    from harness.cluster.team import Team
    from harness.cluster.unit import Settings
    from harness.commands.arguments import Arguments
    from harness.config.tables import Config
    from harness.domain.spec import BuildSpec, FlagSet, ModelSpec, RunSpec
    from harness.execution.engine import Engine, ModelAtHand, NoModel
    from harness.execution.local_machine import LocalMachine
    from harness.execution.progress import MatrixEvent

logger = logging.getLogger(__name__)


def add_scheduler(to: Arguments) -> None:
    """Add `--scheduler`, see `cluster_of`."""
    to.add_argument(
        "--scheduler",
        type=types.text,
        default="",
        metavar="ADDRESS",
        help="build and run on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786 or "
        "the path of a scheduler file; `dask` for the one of Dask's configuration (default: on "
        "this machine)",
    )


@contextmanager
def cluster_of(
    options: argparse.Namespace, builds: Collection[BuildSpec]
) -> Iterator[Cluster | None]:
    """Yield the cluster of `--scheduler`, whose workers have said what they can do.

    Args:
        options: the command line.
        builds: what is to be built, for which workers look for compilers and emulators.

    Raises:
        MachineError: nobody answers, or no worker can be used.
    """
    if not options.scheduler:
        yield None
        return
    # Only now: it takes a second to import.
    connection = importlib.import_module("harness.cluster.connection")
    flags = [build.flags for build in builds]
    with connection.connected(options.scheduler) as cluster:
        cluster.announce(
            compilers=tuple(dict.fromkeys(each.compiler for each in flags if each.compiler)),
            targets=tuple(dict.fromkeys(each.target for each in flags if each.target)),
        )
        for name in cluster.refused():
            logger.warning(
                "worker %s has another version of the harness: it is given nothing. Install there "
                "what is here, and start it again.",
                printable(name),
            )
        if not cluster.workers():
            raise MachineError(
                f"--scheduler {options.scheduler}: no worker there can be used. Start some with "
                "`dask worker` in an environment with this harness, see docs/scale.md.",
                code=Code.CLUSTER,
            )
        yield cluster


def engine_of(
    cluster: Cluster | None,
    options: argparse.Namespace,
    config: Config,
    machine: LocalMachine,
    models: Mapping[ModelSpec, ModelAtHand | NoModel],
    notify: Callable[[MatrixEvent], None],
) -> Engine:
    """Return what runs the cells of a command.

    Args:
        cluster: where; None for this machine.
        options: the command line.
        config: its limits and its tolerance hold.
        machine: this machine, prepared.
        models: those of the cells.
        notify: told what happens.
    """
    if cluster is None:
        maker = Maker(
            resolver=machine.resolver,
            notify=notify,
            build_unsupported=config.matrix.build_unsupported,
        )
        return LocalEngine(
            maker=maker,
            runner=machine.cells,
            models=models,
            notify=notify,
            workers=options.jobs,
        )
    engine = importlib.import_module("harness.cluster.engine")
    made: Engine = engine.ClusterEngine(
        cluster=cluster,
        settings=_settings(options, config),
        models=models,
        runner=machine.cells,
        notify=notify,
    )
    return made


@contextmanager
def team_of(
    cluster: Cluster,
    options: argparse.Namespace,
    config: Config,
    cells: Iterable[tuple[FlagSet, RunSpec]],
    watch: BuildWatch,
    say: Callable[[str], None] | None = None,
) -> Iterator[Team]:
    """Yield workers of one kind, for a command that compares their numbers.

    Args:
        cluster: all workers.
        options: the command line.
        config: its limits and its tolerance hold.
        cells: each way to compile and to run that all of them must be able to do.
        watch: told how far a build is.
        say: told in words what a worker is at.

    Raises:
        MachineError: no worker can do all of it.
    """
    capability = importlib.import_module("harness.cluster.capability")
    team = importlib.import_module("harness.cluster.team")
    arch = layer_arch()
    needs = frozenset().union(*(capability.needs_of(flags, run, arch) for flags, run in cells))
    with team.Team(cluster, _settings(options, config), needs, watch, say) as made:
        yield made


def _settings(options: argparse.Namespace, config: Config) -> Settings:
    unit = importlib.import_module("harness.cluster.unit")
    settings: Settings = unit.Settings(
        config=config,
        pinning=in_force(),
        retry_failed=getattr(options, "retry_failed", False),
        fresh=getattr(options, "fresh", False),
    )
    return settings
