"""No average: the last weights."""

from dnas.training.protocols import Average


def average() -> Average:
    """It has no settings."""
    return Average(lambda values: (), lambda state, values, active=True: (), lambda state, values: values)
