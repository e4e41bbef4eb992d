"""`[bisect.rules]`: what each kind of failure means to a bisection."""

from __future__ import annotations

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.domain.outcomes import Event, Outcome


class Rules(BaseModel):
    """What each event means. `Outcome` values are written `good`, `bad`, `skip`, `unstable`.

    By default only a number decides: a revision that fails in some other way says nothing about
    the change that is looked for. What the worse end itself shows is the exception, see
    `criterion_between`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    configure_failed: Outcome = Outcome.SKIP
    build_failed: Outcome = Outcome.SKIP
    load_failed: Outcome = Outcome.SKIP
    run_failed: Outcome = Outcome.SKIP
    lacks_layer: Outcome = Outcome.SKIP
    timeout: Outcome = Outcome.SKIP
    nan: Outcome = Outcome.SKIP
    apart: float = Field(default=4.0, gt=1)
    """The errors of the two ends must differ by this factor, if no threshold is given."""
    near: float = Field(default=1.5, ge=1)
    """Values less than this factor away from the threshold, as errors, are measured again."""
    floor: float = Field(default=2.0**-23, gt=0)
    """Smaller errors count as this one (one unit in the last place of fp32 at 1)."""

    @model_validator(mode="after")
    def _ends_are_not_near(self) -> Self:
        if self.near**2 >= self.apart:
            raise ValueError(
                f"near = {self.near} covers both ends, which may be only {self.apart} apart: "
                f"set near below {math.sqrt(self.apart):.3g} or apart above {self.near**2:.3g}"
            )
        return self

    def of(self, event: Event) -> Outcome:
        """Return the outcome of an event without a number."""
        if event is Event.MACHINE:
            return Outcome.SKIP  # whatever anybody wishes
        outcome: Outcome = getattr(self, event.value.replace("-", "_"))
        return outcome
