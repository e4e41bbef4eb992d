"""Every cell is measured once more, with other memory around it and its inputs in another order.

Where that gives the same, bit for bit, nothing more is done. Where it does not, further
measurements find out the least that has to be changed for it, since only that may be said:

- the same once more: *repeat*;
- the order of the inputs: *other order*;
- the places of blobs, with memory not filled: *other places*;
- what memory holds that nobody wrote: *fresh memory*, if all of the above gives the same, and
  filling the memory a second time does not.

A cell in which ncnn dies each time is measured in memory where reading too far does no harm: if it
then ends in another way, how it ends is an accident.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.domain.instability import Change, Instability
from harness.execution.heap import Heap
from harness.execution.job import Job, JobInput
from harness.execution.session import USE_VULKAN
from harness.execution.stability import (
    Difference,
    Kind,
    difference,
    difference_beyond,
    ending,
    first_alone,
)
from harness.model.param import Param, read_param

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.execution.launcher import InputResult, Launcher

_BETWEEN = "between"
"""What the pass that comes before an input that is the only one is called, with its name."""


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """The measurements of a job that come after the first one, each made when it is needed."""

    launcher: Launcher
    job: Job
    first: Sequence[InputResult]
    folder: Path
    """For files of the processes; the caller removes it."""
    _made: dict[str, dict[str, InputResult]] = field(default_factory=dict, init=False)

    def instabilities(self, limits: Sequence[float]) -> list[Instability | None]:
        """Return for each input what differs between measurements; None if nothing does.

        Args:
            limits: what the outputs of each input may differ by on a Vulkan device, in units of
                their largest value.
        """
        param = read_param(Path(self.job.param))
        if self.job.options.get(USE_VULKAN):
            # A device may add up in any order, and its driver's memory is not ncnn's to answer for.
            found = zip(self.first, limits, strict=True)
            return [self._on_device(result, param, limit) for result, limit in found]
        return [self._on_cpu(result, param) for result in self.first]

    def single_threaded(self) -> dict[str, InputResult]:
        """Return a measurement with one thread, by input."""
        items = [item.model_copy(update={"alone": ()}) for item in self._inputs("")]
        job = self.job.model_copy(update={"threads": 1, "repeats": 1, "inputs": tuple(items)})
        found = self.launcher.run(job, self.folder / "one-thread") if items else []
        return {each.name: each for each in found}

    def _on_device(self, result: InputResult, param: Param, limit: float) -> Instability | None:
        again = self._other("order", result, again=True)
        found = difference_beyond(result, again, param, limit) if again else None
        return found.instability(Change.REPEAT) if found else None

    def _on_cpu(self, result: InputResult, param: Param) -> Instability | None:
        filled = self._other("filled", result, again=True, heap=Heap.FILLED, pools=False)
        if filled is None:
            return None
        found = difference(result, filled, param)
        if found is None:
            return self._unfilled(result, param)
        change, found = self._least(result, found, param)
        if found.layer is None and filled.chain is None:
            found = self._located(result, found, param)
        return found.instability(change)

    def _unfilled(self, result: InputResult, param: Param) -> Instability | None:
        """Return what differs although filled memory changes nothing."""
        chain = result.chain
        if ending(result, param)[0] is Kind.DIED:
            roomy = self._other("roomy", result, again=True, heap=Heap.ROOMY)
            found = difference(result, roomy, param) if roomy else None
            return found.instability(Change.PLACE) if found else None
        if chain is None or (chain.steady and chain.kept_agrees):
            return None
        repeated = self._other("repeat", result)
        once_more = repeated.chain if repeated else None
        is_keeping = (
            chain.steady
            and once_more is not None
            and not once_more.kept_agrees
            and self._differs(result, param, repeated) is None
        )
        return Instability(change=Change.KEEPING if is_keeping else Change.REPEAT)

    def _least(
        self, result: InputResult, found: Difference, param: Param
    ) -> tuple[Change, Difference]:
        """Return the least change that gives another result, and what differs then."""
        # Twice: what comes and goes may agree once, and would be put down to something else.
        repeated = self._differs(result, param, self._other("repeat", result)) or self._differs(
            result, param, self._other("repeat twice", result)
        )
        if repeated or (result.chain and not result.chain.steady):
            # Which layer differs first is an accident then, so that all that was seen counts.
            return Change.REPEAT, repeated.with_earlier(found) if repeated else found
        elsewhere = self._differs(
            result, param, self._other("elsewhere", result, again=True, pools=False)
        )
        if elsewhere:
            ordered = self._differs(result, param, self._other("order", result, again=True))
            return (Change.ORDER, ordered) if ordered else (Change.PLACE, elsewhere)
        filled = self._other("filled twice", result, again=True, heap=Heap.FILLED, pools=False)
        twice = self._differs(result, param, filled)
        return (Change.FRESH_MEMORY, twice) if twice else (Change.REPEAT, found)

    def _differs(
        self, result: InputResult, param: Param, other: InputResult | None
    ) -> Difference | None:
        return difference(result, other, param) if other else None

    def _located(self, result: InputResult, found: Difference, param: Param) -> Difference:
        """Return a difference by which the model dies, with the layer that does so by itself."""
        if not (result.chain and result.chain.shapes):
            return found
        alone = self._other("alone", result, again=True, heap=Heap.FILLED, pools=False)
        layer = first_alone(result, alone, param) if alone else None
        if layer is None:
            return found
        return replace(layer, endings=found.endings)

    def _other(self, name: str, result: InputResult, **changes: object) -> InputResult | None:
        """Return another measurement of an input; None where the first says that it is no use."""
        if name not in self._made:
            items = self._inputs(name)
            if name not in ("repeat", "repeat twice", "roomy", "alone"):
                items = [*reversed(items)]
                items = [*self._between(items), *items] if len(items) == 1 else items
            job = self.job.model_copy(update={**changes, "inputs": tuple(items)})
            place = self.folder / name.replace(" ", "-")
            found = self.launcher.run(job, place) if items else []
            self._made[name] = {each.name: each for each in found}
        return self._made[name].get(result.name)

    def _inputs(self, name: str) -> list[JobInput]:
        """Return the inputs to measure again: what took too long would do so once more."""
        param = read_param(Path(self.job.param))
        items = []
        for item, result in zip(self.job.inputs, self.first, strict=True):
            stopped = result.opened.unsupported or result.opened.skipped
            if stopped or ending(result, param)[0] is Kind.UNKNOWN:
                continue
            if name == "alone":
                shapes = dict(result.chain.shapes) if result.chain else {}
                item = item.model_copy(update={"shapes": shapes})
            items.append(item)
        return items

    def _between(self, items: Sequence[JobInput]) -> list[JobInput]:
        """Return an input that leaves other values behind: the same ones in the reverse order."""
        feeds = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, (blob, file) in enumerate(items[0].feeds.items()):
            array = np.load(file)
            feeds[blob] = str(self.folder / f"{_BETWEEN}-{number}.npy")
            np.save(feeds[blob], array.ravel()[::-1].reshape(array.shape))
        return [JobInput(name=f"{_BETWEEN} {items[0].name}", feeds=feeds, alone=())]
