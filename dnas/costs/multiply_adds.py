"""multiply_adds: of all convolutions and linear layers, for one input; what papers call FLOPs. No paper."""

from dnas.costs.counted import counted
from dnas.costs.protocol import Build


def cost() -> Build:
    """It has no settings."""
    return counted("multiply_adds", "multiply_adds")
