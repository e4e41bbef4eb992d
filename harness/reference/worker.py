"""The process that evaluates a model: what it computes, files tell.

A model is a program of other people. It may run for ever, take all memory or end the evaluator.
"""

from __future__ import annotations

import importlib
import pickle
import resource
from pathlib import Path
from typing import TYPE_CHECKING

# Imported once by the process that all others are forked from.
from harness.reference import blob_values, evaluation, extents, noise  # noqa: F401
from harness.reference.values import write_values
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

WORK, VALUES, REFUSED, EXHAUSTED = "work", "values", "refused", "exhausted"
"""Files in the folder of a process: what to call, what it gave, why it did not."""


def main(arguments: Sequence[str]) -> int:
    """Call what the folder `arguments[0]` names, within `arguments[1]` bytes of address space."""
    folder, memory = Path(arguments[0]), int(arguments[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # Written a moment ago by the process that waits for this one, in a folder of its own.
    module, name, given = pickle.loads((folder / WORK).read_bytes())
    try:
        values = getattr(importlib.import_module(module), name)(*given)
        (folder / VALUES).mkdir()
        write_values(folder / VALUES, values, {})
    except MemoryError as error:
        (folder / EXHAUSTED).write_text(str(error), encoding="utf-8")
        return 1
    except ModelError as error:
        (folder / REFUSED).write_text(f"{error.code} {error}", encoding="utf-8")
        return 1
    return 0
