"""Shapley-NAS: values of games whose exact ones are known, and the steps that alphas take by them."""

from itertools import permutations

import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.methods import shapley_nas
from dnas.runs import records
from dnas.search import shapley
from dnas.search.method import adapted
from dnas.spaces import nasbench201

SPACE = nasbench201.space(nodes=2, operations="none+skip_connect+nor_conv_1x1+avg_pool_3x3")
PLAYERS = shapley.players(SPACE)
MIX = {"cell": np.full((1, 4), 0.25)}


def worth(mix):
    """A game: 0.1 and 0.3 alone, 0.4 more together, and 0.05 for the third with any of the two."""
    _, a, b, c = (mix["cell"][0] > 0).tolist()
    return 0.1 * a + 0.3 * b + 0.4 * (a and b) + 0.05 * (c and (a or b))


EXACT = {0: 0.0, 1: 0.1 + 0.2 + 0.05 / 6, 2: 0.3 + 0.2 + 0.05 / 6, 3: 0.05 * 2 / 3}


def test_over_all_orders_the_mean_is_the_shapley_value():
    orders = [shapley.contributions(MIX, order, worth) for order in permutations(PLAYERS)]
    for player in PLAYERS:
        assert np.mean([found[player] for found in orders]) == pytest.approx(EXACT[player[2]], abs=1e-12)
    assert sum(EXACT.values()) == pytest.approx(worth(MIX))  # what all earn is shared out


def test_over_random_orders_the_mean_is_near_it(view):
    """As the method draws them; spread 0: the mean alone."""
    asked = []

    def evaluate(mix, train=False, batches=None, first=0):
        asked.append((train, batches, first))
        return worth(mix), 0.0

    method = find.resolve("method", "shapley_nas:orders=400,spread=0,threshold=0,momentum=0,rate=1")
    look = adapted(method, SPACE, SearchConfig(epochs=3)).between_epochs
    seen = view(SPACE, MIX, epoch=1, epochs=3, evaluate=evaluate)._replace(alphas={"cell": np.zeros((1, 4))})
    exact = np.array([EXACT[o] for o in range(4)])
    steps = look(seen).alphas["cell"][0]
    np.testing.assert_allclose(steps, (exact - exact.mean()) / exact.std(ddof=1), atol=0.1)
    assert len({first for *_, first in asked}) == 400 and {(t, b) for t, b, _ in asked} == {(True, 4)}
    assert look(seen._replace(epoch=3)).alphas is None  # after the last epoch nothing would read them


def test_an_order_ends_once_the_score_has_halved():
    order = [PLAYERS[o] for o in (2, 1, 3, 0)]
    found = shapley.contributions(MIX, order, worth, threshold=0.5)
    assert found[PLAYERS[2]] == pytest.approx(0.7) and sum(found.values()) == found[PLAYERS[2]]
    losses = shapley.contributions(MIX, order, lambda mix: worth(mix) - 1, threshold=0.5)  # -0.15, then -0.85
    assert losses[PLAYERS[2]] == pytest.approx(0.7) and losses[PLAYERS[1]] == 0
    assert shapley.contributions(MIX, order, worth, threshold=0.1)[PLAYERS[1]] == pytest.approx(0.15)


def test_deviations_are_subtracted_and_tables_standardised():
    assert shapley_nas.estimated([1.0, 3.0], 1.0) == pytest.approx(2 - 1)
    np.testing.assert_allclose(shapley_nas.standardised([1.0, 2.0, 3.0]), [-1, 0, 1])
    np.testing.assert_array_equal(shapley_nas.standardised([2.0, 2.0]), [0, 0])


def test_steps_have_momentum(view):
    look = adapted(find.resolve("method", "shapley_nas:orders=1"), SPACE, SearchConfig(epochs=5)).between_epochs

    def after(notes, alphas):
        seen = view(SPACE, MIX, epoch=1, epochs=5, notes=notes, evaluate=lambda mix, **_: (worth(mix), 0.0))
        return look(seen._replace(alphas={"cell": alphas}))

    first = after([], np.zeros((1, 4)))
    np.testing.assert_allclose(first.alphas["cell"], 0.1 * np.array(first.notes["momentum"]["cell"]))
    second = after([first.notes], first.alphas["cell"])  # the same epoch, so the same order
    np.testing.assert_allclose(
        second.notes["momentum"]["cell"], 1.8 * np.array(first.notes["momentum"]["cell"]), rtol=1e-12
    )
    np.testing.assert_allclose(second.alphas["cell"], 2.8 * first.alphas["cell"], rtol=1e-12)


def test_it_needs_epochs_after_the_warm_up():
    method, warm = find.resolve("method", "shapley_nas"), AlphaConfig(warmup_epochs=4)
    with pytest.raises(UserError, match="from epoch 4 on, and search.epochs is 4"):
        adapted(method, SPACE, SearchConfig(epochs=4, alphas=warm))
    look = adapted(method, SPACE, SearchConfig(epochs=5, alphas=warm)).between_epochs
    assert look is not None


@pytest.mark.slow
def test_a_search_moves_its_alphas_between_epochs_and_resumes_bit_identical(tmp_path):
    config = Config(
        space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
        method="shapley_nas:orders=2",
        data="digits:limit=60",
        seeds=2,
        search=SearchConfig(epochs=3, cells=1, channels=2, batch_size=15, augment=AugmentConfig(pad=0, flip=False)),
    )
    whole = dnas.search.run(config, tmp_path / "whole", quiet=True)
    mixes = [row["mix"] for row in records.read_mix(whole.folder)]  # of two seeds, three epochs
    assert len(mixes) == 6 and len({str(mix) for mix in mixes}) == 6
    for row in records.read_metrics(whole.folder):  # 2 orders of 2 players, on the one batch of validation
        assert row.get("evaluated") is None if row["epoch"] == 3 else 4 <= row["evaluated"] <= 6
    with pytest.MonkeyPatch.context() as patch:
        original, count = shapley.contributions, iter(range(100))

        def interrupted(*args):
            if next(count) == 6:  # of 2 orders for each of 2 seeds: in the second epoch
                raise KeyboardInterrupt
            return original(*args)

        patch.setattr(shapley, "contributions", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dnas.search.run(config, tmp_path / "part", quiet=True)
    resumed = dnas.search.run(config, tmp_path / "part", resume=True, quiet=True)
    assert records.read_mix(resumed.folder) == records.read_mix(whole.folder)
    assert resumed.genotypes == whole.genotypes
