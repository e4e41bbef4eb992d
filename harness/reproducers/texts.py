"""The text of a reproducer: two C++ programs, the model's files, and what to tell of them."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.domain.formatting import number, option_text, short
from harness.model.integer_blobs import integer_blobs
from harness.model.layouts import layout
from harness.model.param import write
from harness.reproducers.literals import (
    float_literal,
    judged_numbers,
    numbers,
    quoted,
    string,
    words,
    wrapped_words,
)
from harness.reproducers.outcome import shortcomings
from harness.reproducers.reproducer import settings
from harness.util.codes import Code
from harness.util.errors import UsageError
from harness.util.markdown import escapes_markdown
from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.domain.spec import FlagSet
    from harness.model.value import Plain
    from harness.reproducers.outcome import Outcome, SideOutcome
    from harness.reproducers.reproducer import Output, Reproducer

    Array = NDArray[Any]

KIB = 64
"""How long a program may get, in KiB, if nothing else is said: nobody reads or merges more."""
COMPILE = (
    "g++ -O2 {name}.cpp -I$NCNN/src -I$BUILD/src $BUILD/src/libncnn.a -fopenmp -pthread -o {name}"
)
"""How the stand-alone program is compiled, see `compile_line`."""


@dataclass(frozen=True)
class _Data:
    """An array in a program."""

    name: str
    kind: str
    """C++ type of an element."""
    text: str
    """Lines of the initialiser."""
    shape: tuple[int, ...]
    bytes: int
    """Of an element in `ncnn::Mat`."""
    note: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


def compile_line(name: str, cxx_flags: str = "") -> str:
    """Return the command that compiles the stand-alone program, with variables.

    Args:
        name: of the program.
        cxx_flags: what ncnn is compiled with besides.
    """
    line = COMPILE.format(name=name)
    return f"{line} {cxx_flags}" if cxx_flags else line


def configure_command(flags: FlagSet) -> str:
    """Return the command that configures ncnn as a flag set has it, in lines that fit a page."""
    given = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",  # for CMake 4 and ncnn before 2025-04
        "NCNN_BUILD_TESTS": "ON",
        **dict(flags.options),
    }
    given |= {"CMAKE_CXX_FLAGS": flags.cxx_flags} if flags.cxx_flags else {}
    words = ["cmake -S $NCNN -B $BUILD"]
    words += [f"-D{name}={shlex.quote(value)}" for name, value in given.items()]
    return " \\\n".join(wrapped_words(words))


def compile_words(line: str, **places: Path) -> list[str]:
    """Return the words of a command with `$NAME` filled in."""
    for place, path in places.items():
        line = line.replace(f"${place.upper()}", shlex.quote(str(path)))
    return shlex.split(line)


def alone_text(reproducer: Reproducer, bin_data: bytes) -> str:
    """Return the stand-alone program, which runs the model by `ncnn::Net`.

    Args:
        reproducer: what it shows.
        bin_data: content of the `.bin` file.
    """
    return _render(
        "alone.cpp.j2",
        reproducer,
        param=string(write(reproducer.sample.case.param)),
        # An array needs an element.
        bin=words(bin_data or bytes(4)),
        bin_bytes=len(bin_data),
        compile=compile_line(reproducer.name, reproducer.sides[-1].flags.cxx_flags),
    )


def tree_text(reproducer: Reproducer) -> str:
    """Return the test for ncnn's own tree, which runs the layer without a `Net`."""
    case = reproducer.sample.case
    tensors = reproducer.sample.tensors
    weights = [_tensor(slot.name, tensors[slot.name]) for slot in layout(case.layer)]
    arrays = [
        _array(key, plain)
        for key, plain in case.plain.items()
        if isinstance(plain, tuple) and plain
    ]
    return _render(
        "test.cpp.j2",
        reproducer,
        weights=weights,
        arrays=arrays,
        params=[_parameter(key, plain) for key, plain in case.plain.items()],
    )


def readme_text(reproducer: Reproducer, outcomes: Sequence[SideOutcome]) -> str:
    """Return what to write into an issue, as Markdown.

    Args:
        reproducer: what it shows.
        outcomes: what became of it on each side; empty if it was not tried.
    """
    return (
        escapes_markdown(_environment())
        .get_template("README.md.j2")
        .render(
            it=reproducer,
            names=[settings(side.run) for side in reproducer.sides],
            outcomes=outcomes,
            short_of=shortcomings(outcomes),
            cell=_cell,
            configured=configure_command,
            compile=compile_line(reproducer.name, reproducer.sides[-1].flags.cxx_flags),
        )
    )


def _cell(outcome: Outcome) -> str:
    """Return an outcome as one cell of a table."""
    return " ".join(f"{outcome.fate}: {outcome.detail}".split())


def _comment(text: object) -> str:
    """Return text as the rest of a line that is a comment, and nothing more than that."""
    line = " ".join(printable(str(text)).split()).replace("??/", "? ?/")
    # At its end it would make the next line a part of the comment.
    return f"{line}." if line.endswith("\\") else line


def _render(template: str, reproducer: Reproducer, **values: Any) -> str:
    sample = reproducer.sample
    return (
        _environment()
        .get_template(template)
        .render(
            it=reproducer,
            case=sample.case,
            inputs=[
                _input(blob, x, whole=blob in integer_blobs(sample.case.param))
                for blob, x in zip(sample.case.layer.inputs, sample.inputs, strict=True)
            ],
            outputs=[_expected(each) for each in reproducer.outputs],
            limits={each.blob: each for each in reproducer.outputs},
            has_unjudged=any(each.unjudged.any() for each in reproducer.outputs),
            has_depth=any(
                len(shape) > 3
                for shape in (*sample.case.shapes, *(o.value.shape for o in reproducer.outputs))
            ),
            **values,
        )
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("harness.reproducers"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "option_text": option_text,
        "number": number,
        "short": short,
        "comment": _comment,
    }
    return made


def _input(blob: str, x: Array, *, whole: bool) -> _Data:
    """Return an input; ids of tokens, which are numbers here, as the integers that ncnn reads."""
    x = x.astype(np.int32) if whole else x
    return _Data(blob, "int" if x.dtype.kind == "i" else "float", numbers(x), x.shape, 4)


def _expected(output: Output) -> _Data:
    text = judged_numbers(output.value, output.unjudged)
    return _Data(output.blob, "double", text, output.value.shape, 4)


def _tensor(name: str, array: Array) -> _Data:
    if array.dtype == np.int8:
        return _Data(name, "signed char", numbers(array), array.shape, 1)
    note = "kept as float16 in the .bin file" if array.dtype == np.float16 else ""
    return _Data(name, "float", numbers(array.astype(np.float32)), array.shape, 4, note)


def _array(key: int, plain: Sequence[int | float]) -> _Data:
    floats = any(isinstance(each, float) for each in plain)
    values = np.array(plain, np.float32 if floats else np.int32)
    return _Data(f"param_{key}", "float" if floats else "int", numbers(values), values.shape, 4)


def _parameter(key: int, plain: Plain) -> str:
    """Return the C++ statement that sets a parameter."""
    return f"pd.set({key}, {_expression(key, plain)});"


def _expression(key: int, plain: Plain) -> str:
    if isinstance(plain, tuple):
        return f"flat(param_{key}_data, {len(plain)}, 4u)" if plain else "ncnn::Mat()"
    if isinstance(plain, str):
        # Without the type it would be taken for a number.
        return f"std::string({quoted(plain)})"
    return float_literal(np.float32(plain)) if isinstance(plain, float) else str(plain)


def files_of(reproducer: Reproducer, bin_data: bytes, *, kib: int) -> Mapping[str, str]:
    """Return the two programs by the names of their files.

    Raises:
        UsageError: they are too long for people.
    """
    found = {
        f"{reproducer.name}.cpp": alone_text(reproducer, bin_data),
        f"test_{reproducer.name}.cpp": tree_text(reproducer),
    }
    longest = max(found, key=lambda name: len(found[name]))
    size = math.ceil(len(found[longest]) / 1024)
    if size > kib:
        raise UsageError(
            f"{longest}: {size} KiB of text with all numbers in it, more than {kib}. Show it by a "
            "smaller case (--case, fewer channels or a smaller shape with the same remainders by "
            f"4, 8 and 16), or allow as much by --max-kib {size}.",
            code=Code.STRANGE_CASE,
        )
    return found
