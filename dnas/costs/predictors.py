"""Learned latencies: regressions from one-hot architectures to milliseconds, and few-shot transfer between devices.

Axis letters: T networks that were measured, K others, F features, D devices.

- `least_squares`: a sum over layers.
- `multilayer_perceptron`: as predictors of once-for-all and HAT are, trained on the squared error; one for each device.
- `gaussian_process`: exact, a sum over layers and what depends on several of them; one for each device.
- `ridge`, `mixture`: what an unseen device takes, of what networks take on known devices (the task of HELP, Lee et al.
  2021, arXiv:2106.08630, which meta-learns a network for it).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import nnls
from scipy.stats import spearmanr

Predict = Callable[[np.ndarray], np.ndarray]  # features [K, F] -> milliseconds [K, D]
Transfer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(milliseconds on known devices [K, D], which of these networks were measured [T], what they take on the unseen device
[T]) -> milliseconds on the unseen device [K]."""

WEIGHTS, LENGTHS = (0.5, 0.9, 0.99), (0.2, 1.0)  # of the grid of Gaussian processes; lengths in decisions
NOISES = (1e-8, 1e-5, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)


class Accuracy(NamedTuple):
    """Of predictions: Spearman's rank correlation, NaN where all are alike, and the median relative error."""

    correlation: float
    error: float


def accuracy(predicted: np.ndarray, true: np.ndarray) -> Accuracy:
    """Of [K]."""
    alike = np.ptp(predicted) == 0 or np.ptp(true) == 0
    correlation = np.nan if alike else float(spearmanr(predicted, true)[0])
    return Accuracy(correlation, float(np.median(np.abs(predicted / true - 1))))


class Sizes(NamedTuple):
    """Of a perceptron: hidden layers and their width; and how it is trained."""

    layers: int = 2
    width: int = 64
    epochs: int = 200
    learning_rate: float = 3e-3
    batch: int = 50
    decay: float = 1e-2
    seed: int = 0


USUAL = Sizes()


def multilayer_perceptron(features: np.ndarray, milliseconds: np.ndarray, sizes: Sizes = USUAL) -> Predict:
    """Of features [T, F] and milliseconds [T, D]. It gives the same for the same sizes and data."""
    generator = np.random.default_rng(sizes.seed)
    mean, spread = milliseconds.mean(0), milliseconds.std(0)
    targets = ((milliseconds - mean) / spread).T
    widths = [features.shape[1], *[sizes.width] * sizes.layers, 1]
    start = []
    for c_in, c_out in zip(widths, widths[1:], strict=False):
        most = np.sqrt(6 / (c_in + c_out))
        kernels = generator.uniform(-most, most, (len(targets), c_in, c_out)).astype(np.float32)
        start.append((kernels, np.zeros((len(targets), c_out), np.float32)))
    batch = min(sizes.batch, len(features))
    steps = len(features) // batch
    shuffled = generator.random((sizes.epochs, len(features))).argsort(1)[:, : steps * batch].reshape(-1, batch)
    train = jax.jit(jax.vmap(partial(_trained, sizes), (0, None, 0, None)))
    weights = train(start, features.astype(np.float32), targets.astype(np.float32), shuffled)

    def predict(others: np.ndarray) -> np.ndarray:
        found = jax.jit(jax.vmap(_forward, (0, None)))(weights, others.astype(np.float32))
        return np.asarray(found, np.float64).T * spread + mean

    return predict


def _forward(weights: Any, x: jax.Array) -> jax.Array:
    """[K, F] -> [K]."""
    for kernel, bias in weights[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = weights[-1]
    return (x @ kernel + bias)[:, 0]


def _trained(sizes: Sizes, weights: Any, features: jax.Array, targets: jax.Array, batches: jax.Array) -> Any:
    """batches [steps, B]: which rows each step takes."""
    rate = optax.cosine_decay_schedule(sizes.learning_rate, len(batches))
    adam = optax.adamw(rate, weight_decay=sizes.decay)

    def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
        weights, state = carry
        gradient = jax.grad(lambda w: jnp.square(_forward(w, features[rows]) - targets[rows]).mean())(weights)
        updates, state = adam.update(gradient, state, weights)
        return (optax.apply_updates(weights, updates), state), None

    return jax.lax.scan(step, (weights, adam.init(weights)), batches)[0][0]


def gaussian_process(features: np.ndarray, milliseconds: np.ndarray) -> Predict:
    """Of one-hot features [T, F] of L decisions, and milliseconds [T, D]; it predicts the posterior mean.

    The prior covariance of two networks of which m decisions are equal is, times a scale, m w / L + (1 - w)
    exp((m - L) / length), and 1 more noise. Of a grid, every device takes the w, length and noise of the largest
    marginal likelihood, for which the best scale is known; so one eigendecomposition serves all devices and noises.
    """
    decisions = features[0].sum()
    mean, spread = milliseconds.mean(0), milliseconds.std(0)
    targets = (milliseconds - mean) / spread
    best = np.full(targets.shape[1], -np.inf)
    chosen: list[Any] = [None] * len(best)
    for weight, length in [(w, part * decisions) for w in WEIGHTS for part in LENGTHS]:
        kernel = partial(_covariance, weight, length, decisions)
        values, vectors = np.linalg.eigh(kernel(features, features))
        rotated = vectors.T @ targets
        for noise in NOISES:
            variances = np.maximum(values, 0)[:, None] + noise
            scale = (np.square(rotated) / variances).mean(0)
            likelihood = -0.5 * (len(targets) * np.log(scale) + np.log(variances).sum(0))
            for d in np.flatnonzero(likelihood > best):
                best[d], chosen[d] = likelihood[d], (kernel, vectors @ (rotated[:, d] / variances[:, 0]))

    def predict(others: np.ndarray) -> np.ndarray:
        found = np.empty((len(others), len(chosen)))
        for kernel in {id(kernel): kernel for kernel, _ in chosen}.values():  # devices with one kernel share it
            users = [d for d, (own, _) in enumerate(chosen) if own is kernel]
            found[:, users] = kernel(others, features) @ np.stack([chosen[d][1] for d in users], 1)
        return found * spread + mean

    return predict


def _covariance(weight: float, length: float, decisions: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    equal = a @ b.T
    return weight * equal / decisions + (1 - weight) * np.exp((equal - decisions) / length)


def least_squares(features: np.ndarray, milliseconds: np.ndarray) -> Predict:
    """A sum over one-hot features, which is a table per layer and operation: of [T, F] and [T, D]."""
    solution = np.linalg.lstsq(features, milliseconds, rcond=1e-9)[0]
    return lambda others: others @ solution


def ridge(known: np.ndarray, measured: np.ndarray, milliseconds: np.ndarray) -> np.ndarray:
    """log latency = a + w . z, with z the logarithms on the known devices, each standardised over all networks, and a
    penalty |w|^2 on the sum of squared errors: a Bayesian regression whose weights and errors are of one size.

    Errors: `ValueError` for times that are not positive, as a regression on a known device may predict them.
    """
    if not (known.min() > 0 and milliseconds.min() > 0):
        raise ValueError("a time is not positive, so that it has no logarithm")
    logs = np.log(known)
    z = (logs - logs.mean(0)) / (logs.std(0) + 1e-12)
    seen, target = z[measured], np.log(milliseconds)
    centred = seen - seen.mean(0)
    kernel = centred @ centred.T + np.eye(len(target))
    weights = centred.T @ np.linalg.solve(kernel, target - target.mean())
    return np.exp(target.mean() + (z - seen.mean(0)) @ weights)


def mixture(known: np.ndarray, measured: np.ndarray, milliseconds: np.ndarray) -> np.ndarray:
    """A sum of known devices with weights of at least 0, of the least squared relative error."""
    scale = known.mean(0)
    weights, _ = nnls(known[measured] / scale / milliseconds[:, None], np.ones(len(milliseconds)))
    return known / scale @ weights
