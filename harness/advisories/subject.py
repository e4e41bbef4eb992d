"""A layer and the way it is run, as far as they are known: the names of a condition have values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.advisories.condition import Unknown
from harness.advisories.names import (
    ANYWHERE_BY_DEFAULT,
    COUNT,
    FLAGS,
    INPUTS,
    OUTPUT,
    STORAGE,
    STORE,
    THREADS,
    blob_names,
    flag_arch,
    parameter_of,
    prefixes,
)
from harness.advisories.option_defaults import defaults, known_options
from harness.domain.versions import date_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.cases.layer_case import LayerCase
    from harness.domain.spec import OptionValue
    from harness.model.param import Layer
    from harness.model.value import Plain

Shape = tuple[int, ...]
VULKAN = "use_vulkan_compute"
MASK = 31
"""The parameter with the features that a layer does without (ncnn's `src/net.cpp`)."""
MASKED_SINCE = "2022-11-28"
"""First release that reads it."""
_MASKED: Mapping[str, int] = {
    "use_fp16_arithmetic": 0,
    "use_fp16_storage": 1,
    "use_fp16_packed": 1,
    "use_bf16_storage": 2,
    "use_bf16_packed": 2,
    "use_int8_packed": 3,
    "use_int8_storage": 3,
    "use_int8_arithmetic": 3,
    VULKAN: 4,
    "use_sgemm_convolution": 5,
    "use_winograd_convolution": 6,
}
"""Options by the bit that switches them off."""
_ONE_THREAD = 7


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A version and how it was built and is run."""

    version: str
    arch: str
    """`x86` or `arm`."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Fields of `ncnn::Option` that are set; the others are as by default."""
    threads: int | None = None
    """None where it is not known."""
    flags: Mapping[str, str] | None = None
    """CMake options that were given, None where they are not known."""

    @cached_property
    def names(self) -> Mapping[str, Any]:
        """Values of the names that do not depend on the layer."""
        day = date_of(self.version)
        options: dict[str, Any] = {
            name: Unknown(f"{name} in version {self.version}") for name in known_options()
        }
        options |= (defaults(day) if day else {}) | dict(self.options)
        if self.flags is not None and self.flags.get("NCNN_VULKAN") != "ON":
            options[VULKAN] = False
        threads = Unknown("the number of threads") if self.threads is None else self.threads
        return {
            **{f"opt.{name}": value for name, value in options.items()},
            **{f"flag.{name}": self._flag(name) for name in FLAGS},
            THREADS: threads,
        }

    def _flag(self, name: str) -> bool | Unknown:
        """Return whether the build has what a CMake option is for."""
        if flag_arch(name) not in ("", self.arch):
            return False
        if self.flags is None:
            return Unknown("the build flags")
        given = self.flags.get(FLAGS[name])
        if given is None:
            return name in ANYWHERE_BY_DEFAULT or Unknown(f"{FLAGS[name]} of the build")
        if given == "ON" and flag_arch(name) and self.flags.get("NCNN_RUNTIME_CPU") != "OFF":
            return Unknown(f"whether the CPU has {name}")
        return given == "ON"


@dataclass(frozen=True, kw_only=True)
class LayerSubject:
    """A layer of a model."""

    layer: Layer
    inputs: tuple[Shape | Unknown, ...]
    """Shape of each input blob, outermost axis first."""
    outputs: tuple[Shape | Unknown, ...] = ()
    storage: str = ""
    """How its weights are stored: `fp32`, `fp16` or `int8`; empty where that is not known."""

    def names(self, setting: Setting, standing_for: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all names.

        Args:
            setting: how it is run.
            standing_for: what stands for parameters that it leaves out, see `Advisory.defaults`.
        """
        names = dict(setting.names)
        mask = self._mask(setting.version)
        off = (name for name, bit in _MASKED.items() if mask >> bit & 1)
        names |= {f"opt.{name}": False for name in off}
        if mask >> _ONE_THREAD & 1:
            names[THREADS] = 1
        for place in range(INPUTS):
            shape = self.inputs[place] if place < len(self.inputs) else ()
            for prefix in prefixes(place):
                names |= _extents(prefix, shape)
        names |= _extents(
            OUTPUT, self.outputs[0] if self.outputs else Unknown("its output's shape")
        )
        names[COUNT] = len(self.inputs)
        names[STORE] = self.storage or Unknown(STORAGE)
        return names | {name: self._parameter(name, standing_for) for name in standing_for}

    def _mask(self, version: str) -> int:
        mask = self.layer.get(MASK)
        return mask if isinstance(mask, int) and date_of(version) >= MASKED_SINCE else 0

    def _parameter(self, name: str, standing_for: Mapping[str, Any]) -> Plain:
        number = parameter_of(name)
        given = None if number is None else self.layer.get(number)
        if given is not None:
            return given
        usual: Plain = standing_for[name]
        if isinstance(usual, str) and parameter_of(usual) is not None:
            return self._parameter(usual, standing_for)
        return usual


def subject_of(case: LayerCase, outputs: Sequence[Shape] = ()) -> LayerSubject:
    """Return the layer of a case.

    Args:
        case: the case.
        outputs: shapes of its outputs, if they are known.
    """
    return LayerSubject(
        layer=case.layer, inputs=case.shapes, outputs=tuple(outputs), storage=case.storage
    )


def _extents(prefix: str, shape: Shape | Unknown) -> dict[str, Any]:
    if isinstance(shape, Unknown):
        return dict.fromkeys(blob_names(prefix, ()), shape)
    return blob_names(prefix, shape)
