"""From a configuration and a command line to what a bisection works with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from harness.bisection.laboratory import Laboratory, Setting
from harness.bisection.measurement import Memory
from harness.bisection.part import Subject
from harness.build import Builder
from harness.config import Config
from harness.errors import UsageError
from harness.flags import resolve_flag_set
from harness.front import build_front
from harness.launch import Launcher
from harness.matrix import inputs_of, model_of, run_of
from harness.prepare import prepare_input, prepare_model
from harness.spec import OptionValue, content_key
from harness.store import Store
from harness.toolchain import find_compiler


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to prepare."""

    config: Config
    base: Path
    """Folder that relative paths in the configuration refer to."""
    store: Store
    jobs: int
    input: str = ""
    """Name of the input; empty for the configuration's first."""
    retry_failed: bool = False
    remember: bool = True


def laboratory(request: Request, session: Memory) -> Laboratory:
    """Prepare model, input and reference, and return what measures revisions.

    Raises:
        HarnessError: as the preparation of a matrix.
    """
    config, store = request.config, request.store
    specs = {spec.name: spec for spec in inputs_of(config, request.base)}
    name = request.input or next(iter(specs))
    if name not in specs:
        raise UsageError(f"--input {name}: the configuration has {', '.join(specs)}. Choose one.")
    with ThreadPoolExecutor(1) as pool:
        front = pool.submit(build_front, store, find_compiler(""))
        model = prepare_model(model_of(config, request.base), store)
        whole = Subject(model=model, input=prepare_input(specs[name], model, store))
    return Laboratory(
        store=store,
        builder=Builder(
            store=store,
            jobs=request.jobs,
            timeout=config.limits.build_seconds,
            retry_failed=request.retry_failed,
        ),
        launcher=Launcher(
            front=front.result(),
            tolerance=config.tolerance,
            seconds=config.limits.run_seconds,
            memory_bytes=int(config.limits.memory_gib * 2**30),
        ),
        whole=whole,
        session=session,
        remember=request.remember,
    )


def setting_of(config: Config, flags: str, run: str) -> Setting:
    """Return a configuration from what the user wrote, such as `avx2,NCNN_INT8=OFF`.

    Raises:
        UsageError: not the name of a set, or not a pair.
    """
    name, pairs = _parsed(flags, "--flags", config.flags)
    flag_set = resolve_flag_set(name, config.flags) if name else None
    if flag_set is None:
        raise UsageError(f"--flags {flags}: no name of a set. Begin with one: avx2,{flags}")
    options = tuple(sorted((dict(flag_set.options) | pairs).items()))
    if pairs:
        flag_set = replace(flag_set, name=f"{name}-{content_key(options)[:8]}", options=options)
    run_name, run_pairs = _parsed(run, "--run", config.runs)
    run_spec = run_of(run_name or "default", config)
    if run_pairs:
        values = {key: _value(key, text) for key, text in run_pairs.items()}
        merged = tuple(sorted((dict(run_spec.options) | values).items()))
        run_spec = replace(run_spec, name=run, options=merged)
    return Setting(flags=flag_set, run=run_spec)


def _parsed(text: str, option: str, known: object) -> tuple[str, dict[str, str]]:
    assert isinstance(known, dict)
    names, pairs = [], {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            pairs[key] = value
        else:
            names.append(part)
    unknown = [name for name in names if name not in known]
    if unknown or len(names) > 1:
        raise UsageError(
            f"{option} {text}: give one of {', '.join(known)}, KEY=VALUE pairs, or both, separated "
            "by commas."
        )
    return (names[0] if names else ""), pairs


def _value(key: str, text: str) -> OptionValue:
    if text.lower() in ("true", "on", "false", "off"):
        return text.lower() in ("true", "on")
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--run {key}={text}: give true, false or an integer.") from None
