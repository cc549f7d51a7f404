"""What is tuned, as people write it: read, shortened, and refused in one sentence."""

import dataclasses

import pytest

from dnas import find
from dnas.architectures.choices import named
from dnas.config import Config, WeightConfig, to_dict
from dnas.errors import UserError
from dnas.tune.axes import Axis, applied, axes_of, corners

CONFIG = Config(space="tabular:layers=1", data="wine")


@pytest.mark.parametrize(
    "text, path, values, listed, log",
    [
        ("search.alphas.learning_rate=1e-4..1e-2:log", "search.alphas.learning_rate", (1e-4, 1e-2), False, True),
        ("search.channels=8..64", "search.channels", (8, 64), False, False),
        ("retrain.drop_path=0..0.5", "retrain.drop_path", (0.0, 0.5), False, False),
        ("retrain.drop_path=0...5", "retrain.drop_path", (0.0, 0.5), False, False),
        ("retrain.drop_path=0.1..0.12345678", "retrain.drop_path", (0.1, 0.12345678), False, False),
        ("retrain.drop_path=[0.1,0.12345678]", "retrain.drop_path", (0.1, 0.12345678), True, False),
        ("retrain.optimiser=[sgd,adamw]", "retrain.weights.optimiser", ("sgd", "adamw"), True, False),
        ("retrain.flip=[true,false]", "retrain.augment.flip", (True, False), True, False),
        (" retrain.cutout = [0, 8,16] ", "retrain.augment.cutout", (0, 8, 16), True, False),
        (
            "method=[sdarts:kind=random,radius=0.01,gdas]",
            "method",
            ("sdarts:kind=random,radius=0.01", "gdas"),
            True,
            False,
        ),
    ],
)
def test_an_axis_is_read(text, path, values, listed, log):
    (axis,) = axes_of([text], CONFIG)
    assert axis == Axis(path, values, listed, log) and list(map(type, axis.values)) == list(map(type, values))
    assert axes_of([str(axis)], CONFIG) == (axis,)  # it is written as it is read
    assert axis.whole == (values == (8, 64)) and axis.of_search == (not path.startswith("retrain."))


def test_an_architecture_is_all_choices_of_its_space():
    axes, space = axes_of(["architecture", "retrain.epochs=1..9"], CONFIG), find.resolve("space", CONFIG.space)
    assert [axis.path for axis in axes] == [*(f"architecture.{name}" for name, _ in named(space)), "retrain.epochs"]
    assert [axis.values for axis in axes[:-1]] == [options for _, options in named(space)]
    assert all(axis.listed for axis in axes[:-1])
    assert not any(axis.of_search for axis in axes)


def test_values_get_into_the_config_and_every_end_is_built():
    axes = axes_of(["search.channels=8..64", "retrain.optimiser=[sgd,adamw,rmsprop]"], CONFIG)
    rows = corners(axes)
    assert len(rows) == 3
    for axis in axes:
        assert {row[axis.path] for row in rows} == set(axis.values)
    changed = applied(CONFIG, {"retrain.weights.learning_rate": 0.5, "architecture.width.1<-0": "32"})
    known = dataclasses.replace(CONFIG.retrain, weights=WeightConfig(0.5, schedule="cosine"))
    assert to_dict(changed) == to_dict(dataclasses.replace(CONFIG, retrain=known))


@pytest.mark.parametrize(
    "over, words",
    [
        ([], "Nothing is tuned"),
        (["search.alphas.learning_rat=1e-4..1e-2"], "Did you mean search.alphas.learning_rate"),
        (["retrain.optimizer=[sgd,adamw]"], "Did you mean retrain.weights.optimiser"),
        (["architectur"], "is no path=values"),
        (["=1..2"], "is no path=values"),
        (["architecture=[1,2]"], "the word architecture stands alone"),
        (
            ["search.learning_rate=1..2"],
            "may be search.weights.learning_rate or search.alphas.learning_rate: write which",
        ),
        (["search.alphas=1..2"], "is a group of fields: name one of them, as search.alphas.learning_rate"),
        (["search.channels=64..8"], "begins at 64, which is not below its end, 8"),
        (["search.channels=8..8"], "not below"),
        (["search.channels=8..64.5"], "is a whole number, not 64.5"),
        (["search.channels=8..1e99"], "search.channels must be at least 1"),
        (["search.channels=0..64"], "search.channels must be at least 1 and at most 4,096, not 0"),
        (["search.alphas.beta1=0..1"], "search.alphas.beta1 must be at least 0 and below 1, not 1"),
        (["retrain.drop_path=0..0.5:log"], "a logarithm needs numbers above 0"),
        (["retrain.drop_path=0..0.5:ln"], "behind the colon stands log, or nothing, not 'ln'"),
        (["retrain.drop_path=0-0.5"], "Cannot read"),
        (["retrain.drop_path=nan..inf"], "Cannot read"),
        (["retrain.drop_path="], "Cannot read"),
        (["retrain.optimiser=[sgd]"], "nothing to choose"),
        (["retrain.optimiser=[sgd,sgd]"], "nothing to choose"),
        (["retrain.optimiser=[]"], "empty place"),
        (["retrain.optimiser=[sgd,]"], "empty place"),
        (["retrain.optimiser=a..b"], "Cannot read"),
        (["retrain.optimiser=1..2"], "is no number, so it has no range: write a list"),
        (["retrain.stem=[cifar,imagnet]"], "Unknown value for retrain.stem: 'imagnet'. Did you mean imagenet"),
        (["retrain.flip=[yes,no]"], "is true or false, not 'yes'"),
        (["retrain.cutout=[1,x]"], "is a number, not 'x'"),
        (["seed=1..9"], "seed is not tuned: other random numbers"),
        (["data=[wine,digits]"], "scores on other data cannot be compared"),
        (["retrain.valid_portion=0.1..0.5"], "retrain.valid_portion is not tuned"),
        (["search.channels=8..64", "search.channels=[1,2]"], "names search.channels twice"),
        (["architecture", "search.channels=8..64"], "The architecture is tuned, so there is no search"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(over, words):
    with pytest.raises(UserError, match=".") as raised:
        axes_of(over, CONFIG)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_a_space_with_one_architecture_has_none_to_tune():
    one = "tabular:layers=1,widths=1,activations=relu,skips=none,norms=none,dropouts=0"
    with pytest.raises(UserError, match="has one architecture, so there is none to tune"):
        axes_of(["architecture", "retrain.epochs=1..9"], dataclasses.replace(CONFIG, space=one))
