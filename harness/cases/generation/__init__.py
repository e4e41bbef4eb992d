"""Cases of each layer type, made up in an order that is always the same."""

from harness.cases.generation.catalogue import SKETCHES, consistent
from harness.cases.generation.generate import generate

__all__ = ["SKETCHES", "consistent", "generate"]
