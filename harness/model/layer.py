"""One layer of an ncnn model, as a line of a `.param` file has it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.model.value import Plain, Value
from harness.util.codes import Code
from harness.util.errors import ModelError


@dataclass(frozen=True)
class Layer:
    """One line of a `.param` file."""

    type: str
    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: tuple[tuple[int, Value], ...] = ()
    """Pairs of id and value in file order; of several with one id ncnn takes the last."""

    def get(self, key: int) -> Plain | None:
        """Return the value of a parameter, or None where the layer's own default holds."""
        return next((value.plain for k, value in reversed(self.params) if k == key), None)

    def integer(self, key: int, default: int) -> int:
        """Return an integer parameter.

        Raises:
            ModelError: the value is something else.
        """
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, int):
            raise ModelError(
                f"layer {self.name}: {self.type} parameter {key} is {value!r}. "
                "Give it as an integer without decimal point.",
                code=Code.PARAM,
            )
        return value

    def with_param(self, key: int, plain: Plain) -> Layer:
        """Return this layer with one parameter set, in its old place if it had one."""
        value = Value.of(plain)
        if any(k == key for k, _ in self.params):
            pairs = tuple((k, value if k == key else v) for k, v in self.params)
        else:
            pairs = (*self.params, (key, value))
        return replace(self, params=pairs)
