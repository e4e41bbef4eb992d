"""One known fault of a layer: where it shows, since when and until when, and what helps."""

from __future__ import annotations

import datetime
import re
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from harness.advisories.condition import Condition
from harness.advisories.names import KNOWN, parameter_of
from harness.cases.layer_case import LayerCase, parse_case
from harness.domain.versions import date_of
from harness.util.errors import UsageError

DAY = datetime.timedelta(days=1)
"""A release may have the date of the day before or after in its name."""
Expected = Literal["broken", "drop", "narrow", "unstable", "crash", "hang", "shape", "ok"]
Arch = Literal["x86", "arm", "vulkan", "any"]
ARCHES: tuple[str, ...] = tuple(a for a in get_args(Arch) if a != "any")


def _release(text: str) -> str:
    if not re.fullmatch(r"20[0-9]{6}", text) or not date_of(text):
        raise ValueError("give a release of ncnn by its date, such as 20250503")
    return text


def _commit(text: str) -> str:
    if not re.fullmatch(r"([0-9a-f]{7,40})?", text):
        raise ValueError("give a commit by 7 to 40 hexadecimal digits")
    return text


def _case(text: str) -> str:
    try:
        parse_case(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


Release = Annotated[str, AfterValidator(_release)]
Commit = Annotated[str, AfterValidator(_commit)]
Releases = Annotated[tuple[Release, ...], Field(strict=False)]
"""A list in the file."""
Text = Annotated[str, Field(min_length=1)]


class Advisory(BaseModel):
    """One `[[advisory]]` of a file of the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Text
    layer: Text = Field(description="Type of the layers that meet it.")
    case: Annotated[str, AfterValidator(_case)] = Field(
        description="Id of the one-layer case that shows it, as `nox -s sweep` writes it."
    )
    flags: Text = Field(default="avx2", description="Build flags that show it, as --flags.")
    run: str = Field(default="", description="Run options that show it, as --run.")
    expect: Expected = Field(
        description="What becomes of the case in the bad versions; ok: it must not be reported."
    )
    error: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Scale-relative error of the case in the bad versions."
    )
    bad: Releases = Field(default=(), description="Releases that have it, oldest first.")
    good: Releases = Field(default=(), description="Releases that do not have it.")
    introduced: Commit = ""
    introduced_on: datetime.date | None = Field(default=None, description="Date of that commit.")
    repaired: Commit = ""
    repaired_on: datetime.date | None = Field(default=None, description="Date of that commit.")
    when: str = Field(
        default="", description="Condition on a layer and its run; empty: every layer of the type."
    )
    let: dict[str, str] = Field(
        default_factory=dict, description="Expressions that `when` has by a name."
    )
    defaults: dict[str, bool | int | float | str | list[int | float]] = Field(
        default_factory=dict,
        description="What ncnn takes where a parameter of `when` is left out: its value, or the "
        "name of another parameter.",
    )
    needs: str = Field(
        default="",
        description="What else it takes that no .param tells, such as values beyond 65504; a layer "
        "then meets it perhaps.",
    )
    arch: Annotated[tuple[Arch, ...], Field(strict=False, min_length=1)] = Field(
        description="Where it shows: x86, arm, vulkan, or any."
    )
    cause: str = Field(default="", description="Settings it takes; empty if it shows without any.")
    fix: str = Field(default="", description="Settings that clear it.")
    mechanism: str = ""
    advice: str = Field(default="", description="What to do, in a sentence.")
    source: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = Field(
        default="", description="Address where it is told of."
    )
    measured: Releases = Field(default=(), description="Versions it was confirmed in.")
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Advisory:
        try:
            self.condition.check(KNOWN)
        except ValueError as error:
            raise ValueError(f"when: {error}") from error
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> list[str]:
        checks = [
            (
                parse_case(self.case).type == self.layer,
                f"case is of another type than {self.layer}",
            ),
            (not set(self.bad) & set(self.good), "a release is both in bad and in good"),
            (set(self.measured) <= {*self.bad, *self.good}, "measured has more than bad and good"),
            (not self._is_ring(), "defaults: parameters that stand for each other form a ring"),
            (bool(self.good), "good is missing: name a release that does not have it"),
            (self.is_fault or not self.bad, 'expect = "ok" goes without bad'),
            (not self.is_fault or bool(self.bad), "bad is missing: name a release that has it"),
            (not self.is_fault or bool(self.advice), "advice is missing: say what to do"),
            (bool(self.introduced) or not self.introduced_on, "introduced_on without introduced"),
            (bool(self.repaired) or not self.repaired_on, "repaired_on without repaired"),
        ]
        first = f"{self.introduced_on - DAY:%Y%m%d}" if self.introduced_on else ""
        early = min(self.bad, default="") < first
        checks.append((not early, "introduced_on is later than the first release in bad"))
        for name in ("bad", "good", "measured"):
            listed: tuple[str, ...] = getattr(self, name)
            in_order = all(a < b for a, b in pairwise(listed))
            checks.append((in_order, f"{name}: sort the releases, each once"))
        wanted = self.parameters - self.defaults.keys()
        example = min(wanted, default="")
        checks.append(
            (
                not wanted,
                f"defaults.{example} is missing: `when` asks for {example}, and ncnn has "
                "some value for it where a .param leaves it out (see load_param of the layer)",
            )
        )
        return [problem for right, problem in checks if not right]

    def _is_ring(self) -> bool:
        for name in self.defaults:
            seen: set[Any] = set()
            at: Any = name
            while _is_name(at) and at not in seen:
                seen.add(at)
                at = self.defaults.get(at)
            if _is_name(at):
                return True
        return False

    @property
    def is_fault(self) -> bool:
        """Whether it is one; if not, it stands in the corpus for what must not be reported."""
        return self.expect != "ok"

    @cached_property
    def condition(self) -> Condition:
        """The condition `when`."""
        return Condition(self.when, self.let)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The parameters of the layer that `when` uses, such as `p0`, and those they default to."""
        used = {name for name in self.condition.names if parameter_of(name) is not None}
        while more := {v for k, v in self.defaults.items() if k in used and _is_name(v)} - used:
            used |= more  # type: ignore[arg-type]
        return frozenset(used)

    @cached_property
    def layer_case(self) -> LayerCase:
        """The case."""
        return parse_case(self.case)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and parameter_of(value) is not None
