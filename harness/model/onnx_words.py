"""The texts in an ONNX file: names of values, nodes, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]

from harness.util.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

_BULKY = frozenset({"onnx.TensorProto.raw_data", "onnx.TensorProto.string_data"})
"""No texts; looking at them copies them."""


def check_words(message: Any, path: Path) -> None:
    """Make sure that all texts of a model are UTF-8: others are bytes to Python, equal to no name.

    Raises:
        ModelError: one is not.
    """
    for field in message.DESCRIPTOR.fields:
        kind = field.type
        if kind not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE):
            continue
        if field.full_name in _BULKY or not (field.is_repeated or message.HasField(field.name)):
            continue
        value = getattr(message, field.name)
        values = value if field.is_repeated else (value,)
        if kind == FieldDescriptor.TYPE_MESSAGE:
            for each in values:
                check_words(each, path)
        elif bad := next((each for each in values if not isinstance(each, str)), None):
            raise ModelError(
                f"{path}: {field.full_name.removeprefix('onnx.')} is not in UTF-8 ({bad[:40]!r}). "
                "Export or download it again."
            )
