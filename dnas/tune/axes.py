"""What is tuned, as one writes it: fields of a config with their ranges or lists, and the architecture.

    search.alphas.learning_rate=1e-4..1e-2:log     a number of a range, even in its logarithm
    search.channels=8..64                          a whole number, as the field has it
    retrain.weights.optimiser=[sgd,adamw]          one of a list; a comma before key= belongs to a choice's settings
    architecture                                   every choice of the space, as `architectures.choices` has them

Paths are those of `dnas.fields`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from dnas import fields, find
from dnas.architectures.choices import named
from dnas.config import Config
from dnas.errors import UserError
from dnas.fields import NUMBER, shown

ARCHITECTURE = "architecture"
RANGE = re.compile(rf"\s*({NUMBER})\s*\.\.\s*({NUMBER})\s*(?::\s*(\w+)\s*)?")
HOW = "write a range, 1e-4..1e-2 or 1e-4..1e-2:log, or a list, [sgd,adamw]"
FIXED = {  # path: why it is none of a study's
    "seed": "other random numbers are no better setting",
    "seeds": "other random numbers are no better setting",
    "data": "scores on other data cannot be compared",
    "task": "scores of other tasks cannot be compared",
    "retrain.valid_portion": "scores on other parts of the data cannot be compared",
    "grid": "its values are for the seeds of one run",
    "penalty": "its weights are for the seeds of one search",
    "weights_from": "the weights of a run fit one network",
    "checkpoint_epochs": "it changes no score",
}
OF_BOTH = ("dtype",)  # matters to searches and to trainings


@dataclasses.dataclass(frozen=True)
class Axis:
    """A field. values: the list, or the ends of a range, of whole numbers or others, log: even in the logarithm."""

    path: str
    values: tuple[Any, ...]
    listed: bool
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return not self.listed and isinstance(self.values[0], int)

    @property
    def of_search(self) -> bool:
        """Whether only a search says what a value of it is worth."""
        return not (self.of_architecture or self.path.startswith("retrain.") or self.path in OF_BOTH)

    @property
    def of_architecture(self) -> bool:
        """Whether it is a choice of the space."""
        return self.path.startswith(f"{ARCHITECTURE}.")

    def __str__(self) -> str:
        values = [_exact(value) for value in self.values]
        if self.listed:
            return f"{self.path}=[{','.join(values)}]"
        return f"{self.path}={'..'.join(values)}{':log' * self.log}"


def axes_of(texts: Sequence[str], config: Config) -> tuple[Axis, ...]:
    """The axes of a study. Errors: `UserError` for paths that do not exist (with the nearest ones), for what their
    fields do not take, and for what has nothing to tune."""
    if not texts:
        raise UserError(
            f"Nothing is tuned: name a field, as in --over search.alphas.learning_rate=1e-4..1e-2:log; {HOW}."
        )
    found = list[Axis]()
    for text in texts:
        found += _architecture(config) if text.strip() == ARCHITECTURE else [_axis(text, config)]
    paths = [axis.path for axis in found]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UserError(f"--over names {twice[0]} twice: leave one out.")
    if any(axis.of_architecture for axis in found) and (beside := [axis.path for axis in found if axis.of_search]):
        raise UserError(
            f"The architecture is tuned, so there is no search for {beside[0]} to act in: leave one of both out."
        )
    return tuple(found)


def applied(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values of its fields, by path; those of an architecture are none. Errors: `UserError`."""
    return fields.applied(config, {path: v for path, v in values.items() if path.partition(".")[0] != ARCHITECTURE})


def corners(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """So few combinations of values that every end of a range and every member of a list is in one of them."""
    most = max(len(axis.values) for axis in axes)
    return [{axis.path: axis.values[i % len(axis.values)] for axis in axes} for i in range(most)]


def _exact(value: Any) -> str:
    """A value as one writes it, with all of its digits: by them a study knows whether it is the same."""
    text = shown(value)
    return repr(value) if isinstance(value, float) and float(text) != value else text


def _architecture(config: Config) -> list[Axis]:
    known = named(find.resolve("space", config.space))
    if max(len(options) for _, options in known) < 2:
        raise UserError(f"The space '{config.space}' has one architecture, so there is none to tune: leave it out.")
    return [Axis(f"{ARCHITECTURE}.{name}", options, True) for name, options in known if len(options) > 1]


def _axis(text: str, config: Config) -> Axis:
    typed, equals, written = text.partition("=")
    if not equals or not typed.strip():
        raise UserError(f"--over {text!r} is no path=values: {HOW}; the word {ARCHITECTURE} stands alone.")
    if typed.strip() == ARCHITECTURE:
        raise UserError(f"--over {text}: the word {ARCHITECTURE} stands alone, for every choice of the space.")
    path, annotation, default = fields.named(typed.strip(), config, [ARCHITECTURE])
    if path in FIXED:
        raise UserError(f"{path} is not tuned: {FIXED[path]}. Leave it out of --over.")
    members = fields.listed(written, path, default, "--over")
    axis = Axis(path, members, True) if members else _range(path, written, default, annotation)
    if len(set(axis.values)) < len(axis.values) or len(axis.values) < 2:
        raise UserError(f"--over {text}: there is nothing to choose, give two different values or more.")
    for value in axis.values:
        applied(Config(), {path: value})  # which says what the field takes
    return axis


def _range(path: str, written: str, default: Any, annotation: Any) -> Axis:
    match = RANGE.fullmatch(written)
    if match is None:
        raise UserError(f"Cannot read --over {path}={written}: {HOW}.")
    if isinstance(default, (str, bool)):
        known = get_args(annotation) if get_origin(annotation) is Literal else ("true", "false")
        example = ",".join(known) if not isinstance(default, str) or get_origin(annotation) is Literal else "one,other"
        raise UserError(f"{path} is no number, so it has no range: write a list, as {path}=[{example}].")
    low, high = (fields.number_of(text, path, isinstance(default, int)) for text in match.groups()[:2])
    if match[3] not in (None, "log"):
        raise UserError(f"--over {path}={written}: behind the colon stands log, or nothing, not '{match[3]}'.")
    if low >= high:
        raise UserError(f"--over {path}={written}: the range begins at {low:g}, which is not below its end, {high:g}.")
    if match[3] and low <= 0:
        raise UserError(f"--over {path}={written}: a logarithm needs numbers above 0; begin the range there.")
    return Axis(path, (low, high), False, match[3] is not None)
