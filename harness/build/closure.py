"""What to compile besides where a library did not link: what the linker misses, else everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build.definitions import Definitions
from harness.build.linker_output import undefined_symbols
from harness.build.needs import Needs
from harness.build.plan import as_untrimmed, with_needs

if TYPE_CHECKING:
    from harness.build.plan import BuildPlan


def plan_after_failed_link(plan: BuildPlan, output: str) -> BuildPlan | None:
    """Return the plan that links where this one did not; None if there is none.

    It compiles more than `plan` and nothing less, so that the same build directory will do.

    Args:
        plan: what was compiled.
        output: what was printed meanwhile.
    """
    symbols = undefined_symbols(output)
    if not symbols:
        return None
    sources = Definitions(tree=plan.tree.path, arch=plan.arch, vulkan=plan.spec.flags.wants_vulkan)
    missing = sources.missing(symbols, present=plan.layers)
    grown = with_needs(plan, plan.needs | Needs(layers=missing.layers, files=missing.files))
    if grown.layers != plan.layers or grown.needs.files != plan.needs.files:
        return grown
    if plan.spec.layers is None or plan.untrimmed:
        return None
    layer = sources.needing(symbols[0], present=plan.layers)
    return as_untrimmed(plan, layer, f"no layer seems to define {symbols[0]}")
