"""Networks that predict scores from features: an ensemble of multilayer perceptrons, each trained from its own start.

Weights begin uniform (Glorot), biases at 0; the loss is the mean absolute error, the optimiser Adam, examples come in
another order in every epoch. What is random is drawn on the host, so that the program is small. Axis letters: E
networks, T rows of examples, F features, W width, L layers, B batch, K candidates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

ROWS = 512  # of examples: a program for each multiple of so many


class Sizes(NamedTuple):
    """networks: E. layers and width of each, without the last one, which gives the number; and how they are trained."""

    networks: int
    layers: int
    width: int
    epochs: int
    learning_rate: float
    batch: int = 32


class Network(NamedTuple):
    """first: [F, W], hidden: [L - 1, W, W], last: [W], with their biases; of an ensemble, with an axis E before."""

    first: Any
    first_bias: Any
    hidden: Any
    hidden_bias: Any
    last: Any
    last_bias: Any


Predict = Callable[[np.random.Generator, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def predictor(sizes: Sizes) -> Predict:
    """(generator, features [T, F], targets [T], features of candidates [K, F]) -> what networks that are trained for it
    predict, [E, K]. K must not change."""
    trained = jax.vmap(lambda network, order, *data: _trained(sizes, network, order, *data), (0, 0, None, None, None))

    @jax.jit
    def predictions(start: Network, orders: jax.Array, x: Any, targets: Any, count: Any, candidates: Any) -> jax.Array:
        return jax.vmap(_predicted, (0, None))(trained(start, orders, x, targets, count), candidates)

    def predict(
        generator: np.random.Generator, features: np.ndarray, targets: np.ndarray, candidates: np.ndarray
    ) -> np.ndarray:
        count, number = features.shape
        rows = -(-count // ROWS) * ROWS
        orders = np.zeros((sizes.networks, sizes.epochs, rows + sizes.batch), np.int32)
        orders[..., :count] = generator.random((sizes.networks, sizes.epochs, count)).argsort(-1)
        x, y = np.zeros((rows, number), np.float32), np.zeros(rows, np.float32)
        x[:count], y[:count] = features, targets
        start = initial(generator, sizes, number)
        return np.asarray(predictions(start, orders, x, y, count, candidates.astype(np.float32)))

    return predict


def initial(generator: np.random.Generator, sizes: Sizes, features: int) -> Network:
    """Networks before training."""

    def uniform(shape: tuple[int, ...], ends: int) -> np.ndarray:
        most = np.sqrt(6 / ends)
        return generator.uniform(-most, most, (sizes.networks, *shape)).astype(np.float32)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((sizes.networks, *shape), np.float32)

    layers, width = sizes.layers - 1, sizes.width
    first, hidden = uniform((features, width), features + width), uniform((layers, width, width), 2 * width)
    return Network(first, zeros(width), hidden, zeros(layers, width), uniform((width,), width + 1), zeros())


def _predicted(network: Network, features: jax.Array) -> jax.Array:
    """[B, F] -> [B]."""

    def layer(x: jax.Array, weights: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        return jax.nn.relu(x @ weights[0] + weights[1]), None

    x = jax.nn.relu(features @ network.first + network.first_bias)
    x, _ = jax.lax.scan(layer, x, (network.hidden, network.hidden_bias))
    return x @ network.last + network.last_bias


def _trained(sizes: Sizes, network: Network, orders: jax.Array, x: Any, targets: Any, count: Any) -> Network:
    """One network, trained on the first `count` rows in these orders [epochs, T + B]."""
    adam = optax.adam(sizes.learning_rate, b2=0.99, eps=1e-7)

    def loss(network: Network, rows: jax.Array, counts: jax.Array) -> jax.Array:
        errors = jnp.abs(_predicted(network, x[rows]) - targets[rows])
        return (errors * counts).sum() / counts.sum()

    def epoch(carry: Any, order: jax.Array) -> tuple[Any, None]:
        def step(number: jax.Array, carry: Any) -> Any:
            network, state = carry
            first = number * sizes.batch
            rows = jax.lax.dynamic_slice_in_dim(order, first, sizes.batch)
            counts = (first + jnp.arange(sizes.batch) < count).astype(jnp.float32)
            updates, state = adam.update(jax.grad(loss)(network, rows, counts), state)
            return optax.apply_updates(network, updates), state

        return jax.lax.fori_loop(0, (count + sizes.batch - 1) // sizes.batch, step, carry), None

    return jax.lax.scan(epoch, (network, adam.init(network)), orders)[0][0]
