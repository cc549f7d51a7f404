"""Optimisers against PyTorch, and against their papers where it has none.

The numbers of PyTorch were made by torch 2.13 in float64: five steps of its optimiser with weight decay 0.01, the
gradients and the learning rates below.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas import find
from dnas.config import WeightConfig
from dnas.errors import UserError
from dnas.training.weights import clip, optimiser_of, transformation

GRADIENTS = [[0.3, -0.1, 0.0], [-0.2, 0.5, 1e-3], [0.0, 1.0, -0.4], [0.7, -0.6, 0.2], [-0.1, 0.05, 0.3]]
RATES = [0.1, 0.08, 0.05, 0.02, 0.01]
START = [1.0, -2.0, 0.5]
DECAY = 0.01
PYTORCH = {
    "sgd": [0.9354265936968783, -2.1001068839050467, 0.5189998370921912],
    "sgd:momentum=0.5,nesterov=true": [0.9482141876980771, -2.103628498560674, 0.5191430835746876],
    "sgd:momentum=0": [0.9704389874683738, -2.0632750177893677, 0.5116156689084778],
    "adam": [0.8621765317390216, -1.9905962373609642, 0.3533092762560541],
    "adam:beta1=0.5,beta2=0.9,eps=0.001": [0.8875115616081847, -2.014484082125876, 0.3892247780890675],
    "adamw": [0.865258221831418, -1.9901693549502972, 0.4736276969106362],
    "adamw:beta1=0.5,beta2=0.9,eps=0.001": [0.8908077014114651, -2.013236637597228, 0.508398554063752],
    "rmsprop": [0.2638797414990299, -2.1261642152668254, 0.353262474990438],
    "rmsprop:average=0.9,momentum=0.8,eps=0.001,centred=true": [
        0.4597165535681288,
        -1.9299787451332164,
        0.05864432758761137,
    ],
}
TENSORFLOW = "rmsprop:average=0.9,momentum=0.9,eps=0.001,eps_inside=true,initial=1,rate_inside=true"


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64():
        yield


def stepped(choice):
    tx = transformation(WeightConfig(optimiser=choice, decay=DECAY), lambda step: jnp.array(RATES)[step])
    weights = {"layer": jnp.array(START)}
    state = tx.init(weights)
    for gradient in GRADIENTS:
        updates, state = tx.update({"layer": jnp.array(gradient)}, state, weights)
        weights = optax.apply_updates(weights, updates)
    return weights["layer"]


def tensorflow(w):
    """`tf.train.RMSPropOptimizer`: mean squares begin at one, momentum holds steps."""
    square, buffer = np.ones(3), np.zeros(3)
    for g, rate in zip(np.array(GRADIENTS), RATES, strict=True):
        g = g + DECAY * w
        square = 0.9 * square + 0.1 * g**2
        buffer = 0.9 * buffer + rate * g / np.sqrt(square + 0.001)
        w = w - buffer
    return w


def lamb(w):
    """Algorithm 2 of arXiv:1904.00962 with phi(z) = z."""
    m, v = np.zeros(3), np.zeros(3)
    for t, (g, rate) in enumerate(zip(np.array(GRADIENTS), RATES, strict=True), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + DECAY * w
        w = w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u
    return w


def lion(w):
    """Program 1 of arXiv:2302.06675."""
    m = np.zeros(3)
    for g, rate in zip(np.array(GRADIENTS), RATES, strict=True):
        w = w - rate * (np.sign(0.9 * m + 0.1 * g) + DECAY * w)
        m = 0.99 * m + 0.01 * g
    return w


@pytest.mark.parametrize("choice", PYTORCH)
def test_the_steps_are_those_of_pytorch(choice):
    np.testing.assert_allclose(stepped(choice), PYTORCH[choice], rtol=1e-12)


@pytest.mark.parametrize("choice, expected", [(TENSORFLOW, tensorflow), ("lamb", lamb), ("lion", lion)])
def test_the_steps_are_those_of_the_paper(choice, expected):
    np.testing.assert_allclose(stepped(choice), expected(np.array(START)), rtol=1e-12)


OPTIMISERS = [*find.described("optimiser"), TENSORFLOW, "rmsprop:centred=true"]


@pytest.mark.parametrize("choice", OPTIMISERS)
def test_every_optimiser_has_a_finite_derivative_at_a_gradient_of_zero(choice):
    """What hypergradients pull back through a step: of weights that nothing reads the gradient is zero."""
    with jax.enable_x64(False):
        tx = transformation(WeightConfig(optimiser=choice, decay=0.0), lambda step: 0.1)
        weights = jnp.array([1.0, 2.0])

        def moved(gradient):
            return tx.update(gradient, tx.init(weights), weights)[0]

        update, pull_back = jax.vjp(moved, jnp.array([0.0, 0.5]))
        (pulled,) = pull_back(jnp.ones(2))
    assert np.isfinite(update).all() and update[0] == 0 and update[1] < 0
    assert np.isfinite(pulled).all()


@pytest.mark.parametrize("choice", OPTIMISERS)
def test_every_optimiser_says_where_its_decay_acts(choice):
    """Coupled decay is what is added to the gradient."""

    def update(decay, gradient):
        tx = transformation(WeightConfig(optimiser=choice, decay=decay), lambda step: 0.1)
        weights, state = jnp.array([1.0, -2.0]), tx.init(jnp.ones(2))
        for _ in range(2):
            moved, state = tx.update(gradient + (0.0 if decay else 0.3) * weights, state, weights)
        return moved

    gradient = jnp.array([0.5, 0.7])
    same = np.allclose(update(0.3, gradient), update(0.0, gradient), rtol=1e-12)
    assert same == optimiser_of(WeightConfig(optimiser=choice)).coupled


@pytest.mark.parametrize("choice", OPTIMISERS)
def test_every_optimiser_takes_several_seeds_at_once_inside_jit(choice):
    tx = transformation(WeightConfig(optimiser=choice), lambda step: 0.1)
    weights, gradients = jnp.array([START, GRADIENTS[0]]), jnp.array([GRADIENTS[1], START])

    def one(weights, gradient):
        updates, state = tx.update(gradient, tx.init(weights), weights)
        return tx.update(gradient, state, optax.apply_updates(weights, updates))[0]

    together = jax.jit(jax.vmap(one))(weights, gradients)
    for i in range(2):
        np.testing.assert_allclose(together[i], one(weights[i], gradients[i]), rtol=1e-12)


def test_a_centred_mean_square_survives_rounding():
    """Of equal gradients the variance is zero, which rounding may make less."""
    with jax.enable_x64(False):
        tx = transformation(WeightConfig(optimiser="rmsprop:centred=true,average=0.5", decay=0.0), lambda step: 0.1)
        weights = jnp.ones(100)
        gradient = jnp.linspace(0.1, 3.0, 100)
        state = tx.init(weights)
        for _ in range(40):
            updates, state = tx.update(gradient, state, weights)
    assert np.isfinite(updates).all()


def test_clipping_comes_before_and_has_pytorchs_epsilon():
    """torch.nn.utils.clip_grad_norm_ with 1.0."""
    clipped, _ = clip(1.0).update(jnp.array([3.0, 4.0]), optax.EmptyState())
    np.testing.assert_allclose(clipped, [0.599999880000024, 0.799999840000032], rtol=1e-14)


@pytest.mark.parametrize(
    "choice, says",
    [
        ("sgd:momentum=0,nesterov=true", "nesterov=true and momentum=0"),
        ("rmsprop:rate_inside=true", "rate_inside=true and momentum=0"),
        ("sdg", "Unknown optimiser 'sdg'. Did you mean sgd"),
        ("sgd:momentm=0.5", "setting of optimiser sgd: 'momentm'. Did you mean momentum"),
        ("sgd:momentum=1", "'momentum' of optimiser 'sgd' must be at least 0 and below 1"),
    ],
)
def test_what_has_no_effect_is_refused(choice, says):
    with pytest.raises(UserError, match=says):
        transformation(WeightConfig(optimiser=choice), lambda step: 0.1)
