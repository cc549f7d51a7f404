"""Learned latencies: what they must find in latencies that are sums, products and mixtures."""

import warnings

import numpy as np
import pytest

from dnas.costs import predictors, published
from dnas.costs.predictors import Sizes, accuracy, gaussian_process, least_squares, multilayer_perceptron

GENERATOR = np.random.default_rng(0)
NETWORKS = GENERATOR.integers(3, size=(200, 5))
FEATURES = np.eye(3)[NETWORKS].reshape(200, 15)
SUM = 2 + FEATURES @ GENERATOR.uniform(0, 3, 15)
PAIRS = SUM + 2 * (NETWORKS[:, 0] == NETWORKS[:, 1])  # what two layers take together
SEEN, REST = slice(100), slice(100, 200)
SMALL = Sizes(layers=2, width=32, epochs=60, learning_rate=5e-3)


@pytest.mark.parametrize("learn, most", [(least_squares, 1e-9), (gaussian_process, 1e-3)])
def test_a_sum_over_layers_is_found(learn, most):
    found = learn(FEATURES[SEEN], SUM[SEEN, None])(FEATURES[REST])[:, 0]
    np.testing.assert_allclose(found, SUM[REST], rtol=most)


def test_what_layers_take_together_is_learned_better_than_by_a_sum():
    both = np.stack([SUM, PAIRS], 1)
    errors = {}
    for learn in (least_squares, gaussian_process, lambda x, y: multilayer_perceptron(x, y, SMALL)):
        found = learn(FEATURES[SEEN], both[SEEN])(FEATURES[REST])
        assert found.shape == (100, 2)
        errors[learn] = [accuracy(found[:, d], both[REST, d]) for d in range(2)]
    table, process, perceptron = errors.values()
    assert table[0].error < 1e-9 and process[0].error < 1e-4 and perceptron[0].error < 0.05
    assert process[1].error < table[1].error / 2
    assert perceptron[1].correlation > 0.9


def test_a_perceptron_is_the_same_every_time():
    first, second = (multilayer_perceptron(FEATURES[SEEN], SUM[SEEN, None], SMALL)(FEATURES[REST]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_chosen_noise_is_that_of_the_measurements():
    """A device that is twice as noisy does not change what is said of another."""
    noisy = np.stack([SUM, SUM + GENERATOR.normal(0, 2, 200)], 1)
    found = gaussian_process(FEATURES[SEEN], noisy[SEEN])(FEATURES[REST])
    alone = gaussian_process(FEATURES[SEEN], noisy[SEEN, :1])(FEATURES[REST])
    np.testing.assert_allclose(found[:, 0], alone[:, 0], rtol=1e-9)
    assert accuracy(found[:, 1], SUM[REST]).error < np.median(np.abs(noisy[SEEN, 1] / SUM[SEEN] - 1))


def test_what_is_predicted_alike_has_no_order():
    with warnings.catch_warnings(action="error"):
        found = accuracy(np.ones(3), np.array([1.0, 1.0, 2.0]))
    assert np.isnan(found.correlation) and found.error == 0


def test_a_time_that_is_not_positive_has_no_logarithm():
    with pytest.raises(ValueError, match="not positive"):
        predictors.ridge(SUM[:, None] - SUM.min(), np.arange(10), SUM[:10])


@pytest.mark.parametrize("transfer", [predictors.ridge, predictors.mixture], ids=lambda f: f.__name__)
def test_ten_measurements_on_a_new_device(transfer):
    known = FEATURES @ GENERATOR.uniform(0.5, 3, (15, 4))
    new = 0.5 * known[:, 1] + 0.1 * known[:, 3]
    measured = np.arange(10)
    found = transfer(known, measured, new[measured])
    assert accuracy(found[10:], new[10:]).correlation > 0.97
    if transfer is predictors.mixture:
        np.testing.assert_allclose(found, new, rtol=1e-9)
    np.testing.assert_allclose(transfer(known, measured, 7 * new[measured]), 7 * found, rtol=1e-9)  # of any unit


def test_features_name_what_they_do_not_know():
    np.testing.assert_array_equal(published.one_hot(np.array([["b", "a"]]), ("a", "b")), [[0, 1, 1, 0]])
    with pytest.raises(ValueError, match="none of a, b"):
        published.one_hot(np.array([["c", "a"]]), ("a", "b"))
