"""The last training has the epochs for which there is time, where validation had fewer."""

from dataclasses import replace

import pytest

from dnas.automl import stages
from dnas.automl.networks import Entry
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config, RetrainConfig, to_dict

MOST, VALIDATED = 30, 8


class Journal:
    """A clock that says how much time is left. 80 s were spent on validating the network."""

    def __init__(self, left):
        self.left, self.pieces = left, {"found found 1": {"seconds": 80.0}}

    def once(self, name, work):
        if name not in self.pieces:
            self.pieces[name] = {"value": work()}
        return self.pieces[name]["value"]


def epochs(tmp_path, left, trainings=1, over=(), folds=1, **plan):
    plan = RetrainConfig(epochs=VALIDATED, **({"valid_portion": 0.2} | plan))
    recipe = Recipe(Config(retrain=replace(plan, epochs=MOST)), {}, over, folds=folds)
    run = stages.Run(tmp_path, Journal(left), recipe, total=1000.0, quiet=True)
    entry = Entry("found 1", "found", "accuracy", True, config=to_dict(Config(retrain=plan)))
    found = stages.lengthened(run, entry, trainings)
    run.journal.left /= 2
    assert stages.lengthened(run, entry, trainings) == found  # what goes on goes on with as many
    return found.settings.retrain.epochs


@pytest.mark.parametrize(
    "left, trainings, expected",
    [
        (40.0 + 10 * 15.0, 1, 10),  # an epoch of all took 10 s / 0.8, with caution 15; 40 s are for what comes after
        (40.0 + 24 * 15.0, 2, 12),
        (10_000.0, 2, MOST),
        (50.0, 1, VALIDATED),
        (-5.0, 1, VALIDATED),
    ],
)
def test_the_last_training_takes_the_time_that_is_left(left, trainings, expected, tmp_path):
    assert epochs(tmp_path, left, trainings) == expected


@pytest.mark.parametrize("chosen", [{"over": ("retrain.epochs=5..20",)}, {"folds": 5}, {"patience": 3}])
def test_what_chose_its_epochs_keeps_them(chosen, tmp_path):
    assert epochs(tmp_path, 10_000.0, **chosen) == VALIDATED
