"""What a recipe says: how data of a task are prepared, searched, tuned and trained, and what that is held against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dnas.config import Config

STEPS = 8  # of an epoch, at least


def batch_size(examples: int, most: int) -> int:
    """A power of 2 of which so many examples, the smallest part that is trained on, have several."""
    return 2 ** int(math.log2(max(1, min(most, examples // STEPS))))


@dataclass(frozen=True)
class Recipe:
    """config: of all stages; its numbers of epochs are the most that are worth it, and fewer where time is short.
    networks: fixed ones of the same space, by name, as `dnas retrain` takes them. learners: of scikit-learn, which see
    the same rows, by name in `automl.learners`. over: what is tuned, as `dnas tune` takes it; architectures: whether
    the study proposes those, too, and has not the best that was found. folds: that validate, 1: a validation part.
    seeds: of every network that validates. least_epochs: of a training. budget: of a network; takes_budget: whether
    its space has costs, so that searches keep to it. reasons: sentences on what was chosen, and why.
    """

    config: Config
    networks: Mapping[str, str]
    over: tuple[str, ...]
    architectures: bool = False
    learners: tuple[str, ...] = ()
    folds: int = 1
    seeds: int = 1
    least_epochs: int = 5
    budget: str = ""
    takes_budget: bool = False
    shares: "Shares" = field(default_factory=lambda: Shares())
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shares:
    """Of the time: that of the search, and of the validation of one network. Tuning has what is left."""

    search: float = 0.15
    training: float = 0.08
