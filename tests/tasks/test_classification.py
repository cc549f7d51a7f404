"""Cross-entropy and accuracy: sums that are exact in any type of activations."""

import jax.numpy as jnp
import numpy as np
import pytest

from dnas.tasks.classification import Classification
from dnas.types import Batch


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_hundreds_are_counted_and_summed_exactly(dtype):
    labels = np.arange(301) % 7
    logits = jnp.asarray(4 * np.eye(7)[np.where(np.arange(301) < 300, labels, labels - 1)], dtype)
    counted = np.arange(301) != 5
    sums = Classification().evaluate(logits, Batch(None, labels, counted))
    assert sums["accuracy"] == (299, 300) and sums["top5_accuracy"] == (300, 300)
    right, wrong = (np.log(np.exp(4) + 6) - own for own in (4, 0))
    assert sums["loss"][0] == pytest.approx(299 * right + wrong, rel=1e-2 if dtype == "bfloat16" else 1e-5)
    _, trained = Classification().loss(logits, Batch(None, labels))
    assert trained["accuracy"] == (300, 301)


def test_smoothing_and_the_auxiliary_head():
    logits, labels = jnp.asarray([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    plain = [np.log(np.exp(2) + 1) - 2, np.log(np.exp(1) + 1) - 1]
    total, _ = Classification().loss(logits, Batch(None, labels))
    assert total == pytest.approx(np.mean(plain), rel=1e-6)
    smooth, _ = Classification(smoothing=0.2).loss(logits, Batch(None, labels))
    assert smooth == pytest.approx(np.mean([plain[0] + 0.1 * 2, plain[1] + 0.1 * 1]), rel=1e-6)
    weighted, sums = Classification().loss(logits, Batch(None, labels, np.array([1.0, 0.0])))
    assert weighted == pytest.approx(plain[0], rel=1e-6) and sums["accuracy"] == (1, 1)
