"""parameters: how many a network has, without its auxiliary head. No paper."""

from dnas.costs.counted import counted
from dnas.costs.protocol import Build


def cost() -> Build:
    """It has no settings."""
    return counted("parameters", "parameters")
