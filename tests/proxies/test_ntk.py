"""The condition number of the tangent kernel, beside one gradient for every image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dnas import find
from dnas.architectures.encoding import every
from dnas.architectures.topology import NetworkSize
from dnas.nets.functional import Functional
from dnas.proxies.protocol import Evidence, Subject, derived, read
from dnas.types import Batch

SPACE = find.resolve("space", "nasbench201:nodes=2,operations=nor_conv_3x3")


@pytest.mark.parametrize("singular", [False, True], ids=["regular", "singular"])
def test_of_a_linear_network_it_is_that_of_its_inputs(singular):
    """Logits x W of 3 classes: the sum of an image's is differentiated to its input, three times."""

    class Linear(Subject):
        network = Functional(lambda key: None, lambda weights, stats, x, train: (x @ weights["one"]["kernel"], stats))
        kernels = dict.fromkeys([("one", "kernel")])

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 6))
    if singular:
        x[3] = 0
    with jax.enable_x64(True):
        weights = {"one": {"kernel": jnp.asarray(rng.normal(size=(6, 3)))}}
        evidence = Evidence(Linear(None, None), weights, {}, Batch(jnp.asarray(x), None), None)
        found = find.resolve("proxy", "ntk")(evidence.subject)(evidence)
    np.testing.assert_allclose(found.parts, 3 * x @ x.T, rtol=1e-12, atol=1e-12)
    expected = -np.inf if singular else -np.linalg.cond(x @ x.T)
    assert float(found.value) == pytest.approx(expected, rel=1e-8)


def test_of_a_network_it_is_that_of_the_gradients_of_its_images():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        subject = derived(next(every(SPACE)), SPACE, NetworkSize(1, 2, 3), 8)
        weights, stats = jax.jit(subject.network.init)(jax.random.key(0))
        weights = jax.tree.map(lambda leaf: leaf.astype(float), weights)
        batch = Batch(jnp.asarray(rng.normal(size=(5, 8, 8, 3))), jnp.arange(5) % 3)
        measure = find.resolve("proxy", "ntk")(subject)
        found = jax.jit(lambda weights: measure(Evidence(subject, weights, stats, batch, jax.random.key(0))).value)

        @jax.jit
        @jax.grad
        def gradient(weights, one):
            return (read(subject.network.apply(weights, stats, batch.inputs, train=True)) * one[:, None]).sum()

        def row(one):
            flat = flatten_dict(gradient(weights, one))
            return np.concatenate([np.ravel(flat[path]) for path in subject.kernels])

        jacobian = np.stack([row(one) for one in jnp.eye(5)])
        assert float(found(weights)) == pytest.approx(-np.linalg.cond(jacobian @ jacobian.T), rel=1e-6)
