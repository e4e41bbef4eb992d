"""From a configuration to cells: pure expansion of the axes with their rules."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.config.flags import resolve_flag_set
from harness.config.tables import (
    DEFAULT_CONVERTER,
    FILES,
    ONE_AT_A_TIME,
    Config,
    Rule,
    SourceTable,
)
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.util.errors import ConfigError, SelectorError
from harness.util.paths import expanded, real

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MOST_CELLS = 1_000_000
"""A mistyped configuration is no reason to fill the memory."""
BASELINE = "default"
"""The run options that generated ones are compared with."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A cell of the product that is not run, and why."""

    cell: CellSpec
    reason: str


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The cells to run, and those that were left out."""

    cells: tuple[CellSpec, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def builds(self) -> tuple[BuildSpec, ...]:
        """The distinct builds, in the order of their first cells."""
        return tuple(dict.fromkeys(cell.build for cell in self.cells))


def expand(
    config: Config,
    *,
    base: Path,
    generate: Callable[[Revision], Iterable[RunSpec]] = lambda _: (),
    layers: frozenset[str] | None = None,
) -> Matrix:
    """Multiply the axes of a configuration and apply its include and exclude rules.

    Args:
        config: a checked configuration.
        base: folder that relative paths in it refer to.
        generate: gives the run options that `one-at-a-time` stands for in a revision.
        layers: layer types the model needs, if known already.

    Raises:
        ConfigError: there are too many cells, or flags without a sense.
    """
    revisions = {v: revision_of(v, config, base) for v in _all_versions(config)}
    flag_sets = {
        name: resolve_flag_set(name, config.flags, config.targets) for name in _all_flags(config)
    }
    models = models_of(config, base)
    inputs = inputs_of(config, base)
    count = _size(config) * len(models) * max(1, len(inputs))
    if count > MOST_CELLS:
        raise ConfigError(
            f"[matrix]: {count} cells, and {MOST_CELLS} are the most. Name fewer versions, flags, "
            "runs or inputs."
        )
    product: dict[CellSpec, Rule | None] = {}
    for version, flags, name in _combinations(config):
        build = BuildSpec(revision=revisions[version], flags=flag_sets[flags], layers=layers)
        for run in _runs(name, config, build.revision, generate):
            for model, item in itertools.product(models, inputs):
                cell = CellSpec(build=build, run=run, model=model, input=item)
                product[cell] = _excluding(config.matrix.exclude, cell)
    return Matrix(
        cells=tuple(cell for cell, rule in product.items() if rule is None),
        left_out=tuple(
            LeftOut(cell=cell, reason=f"excluded by {_rule_text(rule)}")
            for cell, rule in product.items()
            if rule is not None
        ),
    )


def _runs(
    name: str,
    config: Config,
    revision: Revision,
    generate: Callable[[Revision], Iterable[RunSpec]],
) -> tuple[RunSpec, ...]:
    """Return what a name in `matrix.runs` stands for; generated options need the defaults too."""
    if name == ONE_AT_A_TIME:
        return run_of(BASELINE, config), *generate(revision)
    return (run_of(name, config),)


def with_layers(matrix: Matrix, layers: Mapping[ModelSpec, frozenset[str]]) -> Matrix:
    """Return the same matrix with builds trimmed to the layers of each model, as far as known."""
    return replace(
        matrix,
        cells=tuple(
            replace(cell, build=replace(cell.build, layers=layers.get(cell.model)))
            for cell in matrix.cells
        ),
    )


def select(matrix: Matrix, *, only: Sequence[str], skip: Sequence[str]) -> Matrix:
    """Keep the cells that match a pattern of `only` (if any) and none of `skip`.

    A pattern is a glob over a cell's id `build/run/input`, over its `build/run`, or its build id.
    Of several converters, one matches with `build/run@converter` and all of them without.

    Raises:
        SelectorError: a pattern matches no cell.
    """
    for option, patterns in (("--only", only), ("--skip", skip)):
        for pattern in patterns:
            if not any(_matches(cell, pattern) for cell in matrix.cells):
                raise SelectorError(_no_match(option, pattern, matrix.cells))
    kept = []
    left_out = list(matrix.left_out)
    for cell in matrix.cells:
        if only and not any(_matches(cell, pattern) for pattern in only):
            left_out.append(LeftOut(cell=cell, reason="not selected by --only"))
        elif pattern := next((p for p in skip if _matches(cell, p)), ""):
            left_out.append(LeftOut(cell=cell, reason=f"skipped by --skip '{pattern}'"))
        else:
            kept.append(cell)
    return Matrix(cells=tuple(kept), left_out=tuple(left_out))


def revision_of(label: str, config: Config, base: Path) -> Revision:
    """Return where the version called `label` comes from: its own table, `[source]`, the index."""
    table = config.sources.get(label, config.source)
    name = table.revision or label
    if table.directory:
        return Revision(label=label, kind="directory", name=str(base / table.directory))
    if table.git:
        return Revision(label=label, kind="git", name=name, where=repository(table, base))
    return Revision(label=label, kind="index", name=name)


def repository(table: SourceTable, base: Path) -> str:
    """Return a repository's URL as it is, and a path relative to the configuration file.

    Empty where the table names none.
    """
    if not table.git or ":" in table.git:
        return table.git
    return str(real(base / expanded(table.git)))


def run_of(name: str, config: Config) -> RunSpec:
    """Return the run options called `name`."""
    table = config.runs[name]
    return RunSpec(
        name=name,
        options=tuple(sorted(table.options.items())),
        threads=table.threads,
        when=table.when,
    )


def model_of(config: Config, base: Path) -> ModelSpec:
    """Return the model, by the first converter if there are several, as if it were the only one."""
    return replace(models_of(config, base)[0], label="")


def models_of(config: Config, base: Path) -> tuple[ModelSpec, ...]:
    """Return the model by each converter; paths become absolute, and empty ones stay empty.

    Raises:
        ConfigError: files are to be taken that the configuration does not have.
    """
    table = config.model
    default = (table.converter or DEFAULT_CONVERTER) if table.is_converted else FILES
    converters = tuple(dict.fromkeys(config.matrix.converters)) or (default,)
    if FILES in converters and table.is_converted:
        raise ConfigError(
            f"matrix.converters: '{FILES}' stands for param and bin, which [model] does not have. "
            "Give them, or leave it out."
        )
    several = len(converters) > 1
    return tuple(_model(config, base, name, several=several) for name in converters)


def _model(config: Config, base: Path, converter: str, *, several: bool) -> ModelSpec:
    table = config.model
    made = converter != FILES
    files = (("onnx", table.onnx), *(() if made else (("param", table.param), ("bin", table.bin))))
    return ModelSpec(
        name=table.name,
        # Names are of the files' blobs; a converter has its own.
        names=() if made and table.param else tuple(sorted(table.names.items())),
        converter=converter if made else "",
        reference=table.reference,
        non_finite=table.non_finite,
        label=converter.replace(" ", "-") if several else "",
        shapes=_shapes(config) if made else (),
        **{key: str(base / value) if value else "" for key, value in files},
    )


def to_ask(
    config: Config, base: Path, builds: Iterable[BuildSpec]
) -> tuple[tuple[BuildSpec, RunSpec | None], ...]:
    """Return the builds that may be asked what the model computes, with run options to do so.

    Args:
        config: a checked configuration; what its model names comes first.
        base: folder that relative paths in it refer to.
        builds: others, which are asked in the most exact way that they have.

    Raises:
        ConfigError: the model names a flag set that there is not.
        SelectorError: it names run options that there are not.
    """
    named = config.model.reference_cell
    found: list[tuple[BuildSpec, RunSpec | None]] = []
    if named:
        if named.run and named.run not in config.runs:
            near = difflib.get_close_matches(named.run, config.runs, n=1) or list(config.runs)[:1]
            raise SelectorError(
                f"model.reference_cell: no run options are called '{named.run}'. "
                f"Did you mean '{near[0]}'?"
            )
        build = BuildSpec(
            revision=revision_of(named.version, config, base),
            flags=resolve_flag_set(named.flags, config.flags, config.targets),
            layers=None,
        )
        found.append((build, run_of(named.run, config) if named.run else None))
    return (*found, *((build, None) for build in builds))


def _shapes(config: Config) -> tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]:
    """Return the different shapes that the inputs have."""
    tables = (t.shapes or ({"": t.shape} if t.shape else {}) for t in config.inputs.values())
    return tuple(dict.fromkeys(tuple(sorted(shapes.items())) for shapes in tables if shapes))


def inputs_of(config: Config, base: Path) -> tuple[InputSpec, ...]:
    """Return all inputs with absolute paths."""
    specs = []
    for name, table in config.inputs.items():
        values = table.model_dump() | {"shapes": tuple(table.shapes.items())}
        for key in ("image", "npy"):
            values[key] = str(base / values[key]) if values[key] else ""
        specs.append(InputSpec(name=name, **values))
    return tuple(specs)


def _all_versions(config: Config) -> Iterable[str]:
    extra = (item.version for item in config.matrix.include)
    return dict.fromkeys([*config.matrix.versions, *extra])


def _all_flags(config: Config) -> Iterable[str]:
    extra = (item.flags for item in config.matrix.include)
    return dict.fromkeys([*config.matrix.flags, *extra])


def _size(config: Config) -> int:
    """Return how many combinations of version, flags and run there are at most."""
    axes = config.matrix
    return len(axes.versions) * len(axes.flags) * len(axes.runs) + len(axes.include)


def _combinations(config: Config) -> Iterator[tuple[str, str, str]]:
    axes = config.matrix
    product = [(v, f, r) for v in axes.versions for f in axes.flags for r in axes.runs]
    extra = [(item.version, item.flags, item.run) for item in axes.include]
    return iter(dict.fromkeys(product + extra))


def _excluding(rules: Iterable[Rule], cell: CellSpec) -> Rule | None:
    for rule in rules:
        pairs = (
            (cell.build.revision.label, rule.version),
            (cell.build.flags.name, rule.flags),
            (cell.run.name, rule.run),
            (cell.model.converter or FILES, rule.converter),
            (cell.input.name, rule.input),
        )
        if all(fnmatchcase(name, pattern) for name, pattern in pairs):
            return rule
    return None


def _rule_text(rule: Rule) -> str:
    parts = [f"{key} = '{value}'" for key, value in rule.model_dump().items() if value != "*"]
    return "matrix.exclude: " + (", ".join(parts) or "everything")


def _matches(cell: CellSpec, pattern: str) -> bool:
    plain = replace(cell, model=replace(cell.model, label=""))
    names = {cell.id, cell.place, plain.id, plain.place, cell.build.id}
    return any(fnmatchcase(name, pattern) for name in names)


def _no_match(option: str, pattern: str, cells: Iterable[CellSpec]) -> str:
    ids = [cell.id for cell in cells]
    near = difflib.get_close_matches(
        pattern, ids + [cell.build.id for cell in cells], n=1, cutoff=0.3
    )
    hint = f" The nearest id is '{near[0]}'." if near else ""
    return f"{option} '{pattern}' matches none of {len(ids)} cells.{hint} --list shows all ids."
