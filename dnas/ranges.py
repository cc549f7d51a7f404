"""What a number may be, written at its type: `steps: Annotated[int, Range(1, 1000)] = 7`.

Fields of a config and settings of a space, method or data set say it so; whoever reads them refuses the rest. Every
range ends somewhere: a number that nobody can mean is a slip of the hand. A setting that acts beside certain others
only says so as well, `damping: Annotated[Amount, beside(solver="cg")] = 0.1`: written where it does nothing, it is a
mistake.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from dnas.errors import UserError

MANY = 1_000_000
LARGE = 1e9
TINY = 1e-30  # smaller numbers, or their products, are zero in float32


@dataclass(frozen=True)
class Range:
    """Finite numbers from `least` to `most`, of which `above` and `below` exclude the end."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        high = value < self.most if self.below else value <= self.most
        return low and high and (isinstance(value, int) or (math.isfinite(value) and not 0 < abs(value) < TINY))

    def __str__(self) -> str:
        low, high = "above" if self.above else "at least", "below" if self.below else "at most"
        return f"{low} {_written(self.least)} and {high} {_written(self.most)}"


@dataclass(frozen=True)
class Acts:
    """When a setting does anything: `when` all settings, given or by default, pass; `beside`: how to write it."""

    beside: str
    when: Callable[[Mapping[str, Any]], bool]


def beside(**values: Any) -> Acts:
    """A setting acts where the others have these values."""
    written = ",".join(f"{key}={str(value).lower()}" for key, value in values.items())
    return Acts(written, lambda given: all(given[key] == value for key, value in values.items()))


FINITE = Range(-LARGE, LARGE)

Count = Annotated[int, Range(1, MANY)]
Whole = Annotated[int, Range(0, MANY)]
Depth = Annotated[int, Range(1, 1000)]
Width = Annotated[int, Range(1, 4096)]
Seed = Annotated[int, Range(-(2**31), 2**31 - 1)]
Portion = Annotated[float, Range(0, 1, below=True)]
Probability = Annotated[float, Range(0, 1)]
Amount = Annotated[float, Range(0, LARGE)]
Factor = Annotated[float, Range(0, LARGE, above=True)]
Size = Annotated[int, Range(0, 8192)]
Limit = Annotated[int, Range(0, 2**31 - 1)]
Parts = Annotated[int, Range(1, 64)]
Rate = Annotated[float, Range(0, 1000)]
Temperature = Annotated[float, Range(1e-4, MANY)]


def range_of(annotation: Any) -> Range | None:
    """The range that a type carries."""
    return next((item for item in _metadata(annotation) if isinstance(item, Range)), None)


def check_acts(annotation: Any, given: Mapping[str, Any], where: str) -> None:
    """Errors: `UserError` for a setting that does nothing beside the others; given: all settings."""
    for item in _metadata(annotation):
        if isinstance(item, Acts) and not item.when(given):
            raise UserError(f"{where} acts with {item.beside} only: set that too, or leave it out.")


def check(value: Any, annotation: Any, where: str) -> None:
    """Errors: `UserError` for a number outside the range of its type, or of no range and not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    allowed = range_of(annotation) or FINITE
    if value not in allowed:
        raise UserError(f"{where} must be {allowed}, not {_written(value)}.")


def _written(number: float) -> str:
    if isinstance(number, int) and abs(number) >= 10**30:
        return f"a number of {len(str(abs(number)))} digits"
    if 0 < abs(number) < TINY:
        return f"{number:g}, which is as good as 0 in float32"
    return f"{int(number):,}" if math.isfinite(number) and number == int(number) else f"{number:g}"


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
