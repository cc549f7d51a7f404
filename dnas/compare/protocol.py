"""How what was found is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Annotated, Any

from dnas import ranges
from dnas.config import RetrainConfig, WeightConfig
from dnas.config import check as check_ranges
from dnas.errors import UserError, unknown
from dnas.ranges import Count, Range

SETTINGS = {"learning_rates": "learning_rate", "weight_decays": "decay"}  # of a protocol -> of how weights are trained
MEASURES = ("", "bleu", "chrf")
Tuning = Annotated[int, Range(0, 10_000)]


@dataclass(frozen=True)
class Protocol:
    """Beyond one training of every found cell; an experiment file may give one, `protocol()`."""

    train_seeds: Annotated[int, Range(1, 100)] = 1
    """Trainings of every found cell, in one program; its score is their mean."""
    learning_rates: tuple[float, ...] = ()
    """Every found cell is trained with each of these, and with each weight decay; what counts is the setting with the
    best validation score, of which alone the test score is reported. None: that of the config. The field's nine
    settings (confopt) are .025 .1 .01 beside weight decays of 1e-4 3e-4 1e-3."""
    weight_decays: tuple[float, ...] = ()
    """Likewise."""
    supernet_cells: Annotated[int, Range(0, 15_625)] = 0
    """Cells, drawn at random, by which the supernet that a search leaves is held against the ground truth; each is
    evaluated. 0: none."""
    supernet_batches: Count = 1
    """Validation batches of such an evaluation."""
    measure: str = ""
    """What networks that write texts are compared by: bleu or chrf, as `dnas test` says them. Empty: the score of the
    task, by which settings are chosen either way."""
    tuning: Mapping[str, int] = field(default_factory=dict)
    """Searches spent before on finding the settings of a method, by its name; they count as cost. Who is not named
    spent none."""

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise unknown("measure of a comparison:", self.measure, MEASURES[1:])
        for item in fields(self):
            ranges.check(getattr(self, item.name), item.type, item.name)
        for name, spent in self.tuning.items():
            ranges.check(spent, Tuning, f"tuning of '{name}'")
        for name, one in SETTINGS.items():
            for value in getattr(self, name):
                changed: dict[str, Any] = {one: float(value)}
                check_ranges(replace(WeightConfig(), **changed), f"{name}: ")
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UserError(f"{name} has a number twice: every setting is tried once.")

    def settings(self, retrain: RetrainConfig) -> list[RetrainConfig]:
        """Those that every found cell is trained under; retrain: of the comparison."""
        rates = self.learning_rates or (retrain.weights.learning_rate,)
        decays = self.weight_decays or (retrain.weights.decay,)
        return [
            replace(retrain, weights=replace(retrain.weights, learning_rate=rate, decay=decay))
            for rate, decay in product(rates, decays)
        ]
