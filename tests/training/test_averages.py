"""Averages of weights against PyTorch's numbers and plain means, the trigger against AWD-LSTM's rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.training.averages.asgd import not_improved

EMA, ASGD, NONE = (find.resolve("average", choice) for choice in ("ema:decay=0.9", "asgd", "none"))
ITERATES = [{"layer": jnp.array([1.0, -2.0])}] + [{"layer": jnp.array([1.0 + i * i, -2.0 + 0.5 * i])} for i in range(4)]


def after(average, iterates, active=None):
    state = average.init(iterates[0])
    for i, weights in enumerate(iterates):
        state = average.update(state, weights, *(() if active is None else (active[i],)))
    return average.averaged(state, iterates[-1])


def test_ema_is_that_of_pytorch():
    """torch 2.13: swa_utils.AveragedModel with get_ema_multi_avg_fn(0.9), after the same five weights."""
    np.testing.assert_allclose(after(EMA, ITERATES)["layer"], [2.341, -1.7195], rtol=1e-6)


def test_asgd_is_the_mean_since_the_trigger():
    mean = after(ASGD, ITERATES, [False, False, True, True, True])["layer"]
    np.testing.assert_allclose(mean, np.mean([w["layer"] for w in ITERATES[2:]], 0), rtol=1e-6)


@pytest.mark.parametrize("average", [EMA, ASGD, NONE])
def test_the_average_of_nothing_is_the_last_weights(average):
    first = average.averaged(average.init(ITERATES[0]), ITERATES[0])
    np.testing.assert_array_equal(first["layer"], ITERATES[0]["layer"])
    for count in (1, 3):
        last = after(average, ITERATES[:count], [False] * count)["layer"]
        np.testing.assert_array_equal(last, ITERATES[count - 1]["layer"])
    begun = after(average, ITERATES, [False] * 4 + [True])["layer"]
    np.testing.assert_array_equal(begun, ITERATES[-1]["layer"])


@pytest.mark.parametrize("average", [EMA, ASGD])
def test_seeds_average_apart_inside_jit(average):
    stacked = [jax.tree.map(lambda w: jnp.stack([w, 3 * w]), weights) for weights in ITERATES]
    active = jnp.array([[False, True]] + [[True, True]] * 4)
    state = jax.vmap(average.init)(stacked[0])
    for weights, now in zip(stacked, active, strict=True):
        state = jax.jit(jax.vmap(average.update))(state, weights, now)
    together = jax.vmap(average.averaged)(state, stacked[-1])["layer"]
    np.testing.assert_allclose(together[0], after(average, ITERATES, active[:, 0])["layer"], rtol=1e-6)
    np.testing.assert_allclose(together[1], 3 * after(average, ITERATES, active[:, 1])["layer"], rtol=1e-6)


def test_averages_keep_the_type_of_the_weights():
    weights = {"half": jnp.ones(2, jnp.bfloat16), "whole": jnp.ones(2)}
    for average in (EMA, ASGD):
        state = average.update(average.update(average.init(weights), weights), weights)
        assert jax.tree.map(lambda a: a.dtype, average.averaged(state, weights)) == jax.tree.map(
            lambda w: w.dtype, weights
        )


def awd_lstm(losses, patience):
    """main.py of salesforce/awd-lstm-lm: when it goes over to ASGD, None: never."""
    best = []
    for epoch, loss in enumerate(losses):
        if len(best) > patience and loss > min(best[:-patience]):
            return epoch
        best.append(loss)
    return None


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_trigger_is_that_of_awd_lstm(patience, seed):
    losses = np.round(np.random.default_rng(seed).normal(size=20), 1) if seed else 0.9 ** np.arange(20)
    trigger = not_improved(patience)
    state, update, seen = trigger.init(), jax.jit(trigger.update), []
    for loss in losses:
        state = update(state, loss)
        seen.append(bool(state.triggered))
    begins = awd_lstm(losses, patience)
    assert seen == [begins is not None and epoch >= begins for epoch in range(20)]
    assert (begins is None) == (seed == 0)  # falling losses never trigger it, noisy ones do
