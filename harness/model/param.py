"""ncnn's `.param` text files as immutable values: parse, edit, write.

The grammar is that of `Net::load_param` and `ParamDict::load_param` in ncnn: a stream of words
(line breaks mean nothing, there are no comments), a header of magic number, layer count and blob
count, then per layer its type, name, input count, output count, blob names and `id=value` pairs.
Values keep the characters they were written with, so that what is not edited is not changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.model.layer import Layer
from harness.model.param_structure import check_structure
from harness.model.value import ARRAY_KEY, FLOAT, INTEGER, INTEGERS, MAX_LITERAL, Plain, Value
from harness.util.codes import Code
from harness.util.errors import ModelError
from harness.util.files import write_atomically
from harness.util.reading import TEXT_LIMIT, decoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["ACTIVATIONS", "MAGIC", "Layer", "Param", "parse", "read_param", "write", "write_param"]

MAGIC = 7767517
ACTIVATIONS = {1: "ReLU", 2: "ReLU", 3: "Clip", 4: "Sigmoid", 5: "Mish", 6: "HardSwish"}
"""Layer types by the value of parameter 9, as ncnn's `fused_activation.h` creates them."""
INFINITE = (2 - 2**-24) * 2.0**127
"""From here on a number is rounded to infinity in 32 bits."""
MAX_PARAMS = 32
"""`NCNN_MAX_PARAM_COUNT`: parameter ids are below this."""
MAX_BLOBS = 1 << 20
"""Blobs that a file may announce beyond those that it has: ncnn takes memory for all of them."""
MAX_WORD = 255
"""Bytes of a word, or of a string, that ncnn reads."""
_ONNX = b"\x08"
"""What an ONNX model begins with, and no text: the tag of its first field, `ir_version`."""


@dataclass(frozen=True)
class Param:
    """A whole `.param` file; layer and blob counts follow from the layers."""

    layers: tuple[Layer, ...]
    unread: str = field(default="", compare=False)
    """Name of the layer at which ncnn stops reading, since the header announces no more; empty if
    it reads the whole file."""
    lines: tuple[int, ...] = field(default=(), compare=False)
    """The line of the file on which each layer begins; empty where there is no file."""

    @property
    def blobs(self) -> tuple[str, ...]:
        """Blob names in the order in which ncnn numbers them."""
        seen: dict[str, None] = {}
        for layer in self.layers:
            seen.update(dict.fromkeys((*layer.inputs, *layer.outputs)))
        return tuple(seen)

    @property
    def ends(self) -> tuple[str, ...]:
        """Blobs that no layer consumes, in the order of the file."""
        consumed = {blob for layer in self.layers for blob in layer.inputs}
        return tuple(b for layer in self.layers for b in layer.outputs if b not in consumed)

    def layer_types(self) -> frozenset[str]:
        """Return the layer types that a build must contain to load this file.

        A convolution creates a layer for the activation that is fused into it, and so did
        InnerProduct until 2022.
        """
        fused = {
            ACTIVATIONS.get(layer.integer(9, 0), "")
            for layer in self.layers
            if layer.type.startswith(
                ("Convolution", "Deconvolution", "DeformableConv", "InnerProduct")
            )
        }
        return frozenset(layer.type for layer in self.layers) | (fused - {""})

    def blobs_after(self, names: Collection[str]) -> frozenset[str]:
        """Return the blobs that follow from layers of these names, theirs included."""
        found: set[str] = set()
        for layer in self.layers:
            if layer.name in names or not found.isdisjoint(layer.inputs):
                found.update(layer.outputs)
        return frozenset(found)

    def layer(self, name: str) -> Layer:
        """Return the layer of that name.

        Raises:
            ModelError: there is none, or more than one.
        """
        return self.layers[self._index(name)]

    def replace_layer(self, name: str, *layers: Layer) -> Param:
        """Put other layers in the place of one."""
        at = self._index(name)
        return Param((*self.layers[:at], *layers, *self.layers[at + 1 :]))

    def set_param(self, name: str, key: int, plain: Plain) -> Param:
        """Set one parameter of one layer."""
        return self.replace_layer(name, self.layer(name).with_param(key, plain))

    def _index(self, name: str) -> int:
        found = [at for at, layer in enumerate(self.layers) if layer.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise ModelError(
                f"{len(found)} layers are named {name}. Give each its own name.", code=Code.PARAM
            )
        names = tuple(layer.name for layer in self.layers)
        raise ModelError(f"no layer is named {name}.{_nearest(name, names)}", code=Code.PARAM)


def parse(text: str, origin: str = "param") -> Param:
    """Parse the text of a `.param` file; `origin` is its name in messages.

    A blob count that is larger than needed is legal and is corrected on writing. What stands beyond
    the announced layers is not read, as ncnn does not read it either; `Param.unread` tells.

    Raises:
        ModelError: with file, line, field and remedy.
    """
    scanner = _Scanner(text, origin)
    if scanner.integer("magic number") != MAGIC:
        raise scanner.error(f"the file does not begin with {MAGIC}", "Give a text .param file")
    layer_count = scanner.count("layer count")
    blob_count = scanner.count("blob count")
    layers, lines = [], []
    for _ in range(layer_count):
        scanner.peek()
        lines.append(scanner.line())
        layers.append(_layer(scanner))
    param = Param(tuple(layers), unread=scanner.rest(), lines=tuple(lines))
    # ncnn numbers every output anew, so that a repeated name takes two places.
    needed = _blob_count(param)
    if layer_count < 1 or not needed <= blob_count <= needed + MAX_BLOBS:
        raise ModelError(
            f"{origin}:2: blob count: {layer_count} layers and {blob_count} blobs announced, "
            f"{needed} blobs found. Correct the counts.",
            code=Code.PARAM,
        )
    return param


def parse_pair(text: str, origin: str = "parameter") -> tuple[int, Value]:
    """Parse one `id=value` pair, written as `Value.assignment` writes it.

    Raises:
        ModelError: it is none, or more than one.
    """
    scanner = _Scanner(text, origin)
    pairs = list(_pairs(scanner, "the layer"))
    if len(pairs) != 1 or pairs[0][1].assignment(pairs[0][0]) != text:
        raise scanner.error(f"{text[:40]!r} is not one id=value", "Write it without spaces")
    return pairs[0]


def read_param(path: Path) -> Param:
    """Read a `.param` file, and check that its layers hang together.

    Raises:
        ModelError: it cannot be read or is wrong; the message names file, line and field.
    """
    raw = read_bytes(path, limit=TEXT_LIMIT, error=ModelError)
    if raw.startswith(_ONNX):
        raise ModelError(
            f"{path}: looks like an ONNX model, and not like a .param file, which is text and "
            f"begins with {MAGIC}. Name the .param file that was made of it; ONNX models go to "
            "`onnx` in [model], or to --onnx of `matrix`, `diagnose` and `bisect`.",
            code=Code.PARAM,
        )
    param = parse(decoded(raw, path, error=ModelError), str(path))
    check_structure(param.layers, param.lines, str(path))
    return param


def write(param: Param) -> str:
    """Return the text of a `.param` file, laid out as ncnn's own tools do."""
    lines = [str(MAGIC), f"{len(param.layers)} {_blob_count(param)}"]
    for layer in param.layers:
        head = f"{layer.type:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}"
        pairs = (value.assignment(key) for key, value in layer.params)
        lines.append(" ".join((head, *layer.inputs, *layer.outputs, *pairs)))
    return "\n".join(lines) + "\n"


def write_param(param: Param, path: Path) -> None:
    """Write a `.param` file."""
    write_atomically(path, write(param).encode())


class _Scanner:
    """Reads words as `scanf` does and knows the line for messages."""

    space = re.compile(r"[ \t\n\v\f\r]*")
    word_pattern = re.compile(r"[^ \t\n\v\f\r]+")

    def __init__(self, text: str, origin: str) -> None:
        self.text = text
        self.origin = origin
        self.at = 0
        self.field = "magic number"
        self._line, self._counted = 1, 0

    def line(self) -> int:
        """Return the line that is read now, from 1."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def error(self, problem: str, remedy: str) -> ModelError:
        return ModelError(
            f"{self.origin}:{self.line()}: {self.field}: {problem}. {remedy}.", code=Code.PARAM
        )

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def peek(self) -> str:
        """Return the next word, or nothing at the end."""
        self.match(self.space)
        found = self.word_pattern.match(self.text, self.at)
        return found.group() if found else ""

    def word(self, field: str) -> str:
        self.field = field
        word = self.peek()
        if not word:
            raise self.error("the file ends here", "It was cut off: restore the whole file")
        if len(word.encode()) > MAX_WORD:
            raise self.error(f"longer than {MAX_WORD} bytes", "Shorten it")
        if "\0" in word:
            raise self.error("a zero byte", "It was damaged: restore the file")
        self.at += len(word)
        return word

    def rest(self) -> str:
        """Return the name of the layer that follows, or what stands there; nothing at the end."""
        kind = self.peek()
        self.at += len(kind)
        return (self.peek() or kind)[:MAX_WORD]

    def integer(self, field: str) -> int:
        word = self.word(field)
        if not INTEGER.fullmatch(word):
            self.at -= len(word)
            raise self.error(f"{word[:40]!r} is not an integer", "Correct this line")
        if int(word) not in INTEGERS:
            self.at -= len(word)
            raise self.error(f"{word[:40]} does not fit into 32 bits", "Correct this line")
        return int(word)

    def count(self, field: str) -> int:
        number = self.integer(field)
        if number < 0:
            raise self.error(f"{number} is negative", "Correct this line")
        return number

    def names(self, field: str, count: int) -> tuple[str, ...]:
        names = []
        for number in range(count):
            name = self.word(f"{field} {number}")
            if _PAIR.match(name):
                self.at -= len(name)
                raise self.error(f"{name} stands where a blob belongs", "Correct the counts")
            names.append(name)
        return tuple(names)


_PAIR = re.compile(r"([+-]?[0-9]+)=")
_STRING = re.compile(r'"[^"\n]*"|[A-Za-z][^\n ]*')
_VALUE = re.compile(r"[^\n ]*")


def _layer(scanner: _Scanner) -> Layer:
    kind = scanner.word("layer type")
    name = scanner.word("layer name")
    input_count = scanner.count(f"input count of {name}")
    output_count = scanner.count(f"output count of {name}")
    return Layer(
        type=kind,
        name=name,
        inputs=scanner.names(f"input of {name}", input_count),
        outputs=scanner.names(f"output of {name}", output_count),
        params=tuple(_pairs(scanner, name)),
    )


def _pairs(scanner: _Scanner, name: str) -> Iterator[tuple[int, Value]]:
    while True:
        scanner.peek()
        found = scanner.match(_PAIR)
        if not found:
            return
        # Python refuses to read thousands of digits.
        key = int(found.group(1)) if len(found.group(1)) <= MAX_WORD else -1
        counted = key <= ARRAY_KEY
        key = ARRAY_KEY - key if counted else key
        scanner.field = f"parameter {key} of {name}"
        if not 0 <= key < MAX_PARAMS:
            raise scanner.error(
                f"no such id: {found.group(1)[:40]}", f"Ids are 0..{MAX_PARAMS - 1}"
            )
        yield key, _counted(scanner) if counted else _value(scanner)


def _value(scanner: _Scanner) -> Value:
    string = scanner.match(_STRING)
    if string:
        if len(string.group().encode(errors="surrogatepass")) > MAX_WORD:
            raise scanner.error(f"longer than {MAX_WORD} bytes", "Shorten the string")
        return Value(string.group().rstrip("\r\t\v\f"))
    text = _word_of_value(scanner)
    # One comma at the end makes an array of one element.
    _check_numbers(scanner, text.removesuffix(","))
    return Value(text)


def _counted(scanner: _Scanner) -> Value:
    count, _, text = _word_of_value(scanner).partition(",")
    elements = text.split(",") if text else []
    if not re.fullmatch("[0-9]{1,9}", count) or int(count) != len(elements):
        raise scanner.error(
            f"an array of {count[:40] or 'no'} elements with {len(elements)} of them",
            "Write -23300-id=count,element,element with the right count",
        )
    if elements:
        _check_numbers(scanner, text)
    return Value(text, counted=True)


def _word_of_value(scanner: _Scanner) -> str:
    found = scanner.match(_VALUE)
    return found.group().rstrip("\r\t\v\f") if found else ""


def _check_numbers(scanner: _Scanner, text: str) -> None:
    for word in text.split(","):
        if len(word) > MAX_LITERAL:
            raise scanner.error(
                f"{word[:40]} is longer than the {MAX_LITERAL} characters that ncnn reads",
                "Round it to 9 significant digits",
            )
        if INTEGER.fullmatch(word):
            if int(word) not in INTEGERS:
                raise scanner.error(f"{word} does not fit into 32 bits", "Correct it")
        elif not FLOAT.fullmatch(word):
            raise scanner.error(f"{word!r} is not a number", "Write id=value without spaces")
        elif abs(float(word)) >= INFINITE:
            raise scanner.error(f"{word} is infinite in 32 bits", "Give a finite number")


def _blob_count(param: Param) -> int:
    known: set[str] = set()
    count = 0
    for layer in param.layers:
        new = set(layer.inputs) - known
        count += len(new) + len(layer.outputs)
        known |= new | set(layer.outputs)
    return count


def _nearest(name: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(name, names, 1)
    return f" Did you mean {close[0]}?" if close else " Check the name in the .param file."
