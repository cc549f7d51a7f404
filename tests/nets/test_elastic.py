"""Elastic blocks: what computes one path gives what masks give."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.topology import NetworkSize
from dnas.kernels import native
from dnas.nets.elastic_blocks import ElasticBlock
from dnas.nets.functional import functionalize
from dnas.spaces import ofa

SPACE = ofa.space(size="tiny")
CHOICES = {  # kernels, expansions, depths
    "smallest": ((0, 0, 0, 0), (0, 0, 0, 0), (0, 0)),
    "largest": ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1)),
    "mixed": ((1, 0, 0, 1), (0, 1, 1, 0), (0, 1)),
}


def mix_of(kernels, expansions, depths):
    rows = {"kernel": kernels, "expansion": expansions, "depth": depths}
    return {kind: np.eye(2)[list(row)] for kind, row in rows.items()}


@cache
def both():
    """(output, moments, gradients by weights, images and mix) of a mix, by masks and of one path."""

    def of(paths):
        space = replace(SPACE, paths=paths)
        network = functionalize(lambda rngs: space.supernet(space, NetworkSize(1, 1, 3), rngs=rngs))

        def loss(weights, x, mix, stats):
            y, moments = network.apply(weights, stats, x, mix, train=True)
            return jnp.sin(y).sum(), (y, moments)

        return network, jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))

    return {paths: of(paths) for paths in ("all", "one")}


@pytest.fixture(scope="module")
def given():
    with jax.enable_x64(True):
        network, _ = both()["all"]
        x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 6, 6, 3)))
        return *jax.jit(network.init)(jax.random.key(0)), x


@pytest.mark.parametrize("name", CHOICES)
def test_one_path_gives_what_masks_give(name, given):
    weights, stats, x = given
    with jax.enable_x64(True):
        mix = jax.tree.map(jnp.asarray, mix_of(*CHOICES[name]))
        expected = both()["all"][1](weights, x, mix, stats)
        found = both()["one"][1](weights, x, mix, stats)
    expected, found = ([*jax.tree.leaves(seen[0]), *jax.tree.leaves(seen[1][:2])] for seen in (expected, found))
    for ours, masked in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, masked, rtol=1e-8, atol=1e-10)


def test_gradients_of_the_chosen_weights_of_a_mix_are_those_of_masks(given):
    weights, stats, x = given
    with jax.enable_x64(True):
        mix = jax.tree.map(jnp.asarray, mix_of(*CHOICES["mixed"]))
        masked, ours = (both()[paths][1](weights, x, mix, stats)[1][2] for paths in ("all", "one"))
    mix, masked, ours = (jax.tree.map(np.asarray, tree) for tree in (mix, masked, ours))
    for kind, table in mix.items():
        used = table * np.isin(np.arange(len(table)), [0, 2, 3] if len(table) == 4 else [0, 1])[:, None]
        np.testing.assert_allclose(ours[kind] * used, masked[kind] * used, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(ours[kind][table == 0], 0)


@pytest.mark.slow
def test_without_kernels_that_read_through_norms_it_is_the_same(given, monkeypatch):
    """Fails, too, where the kernels are there and not used."""
    if not native.available():
        pytest.skip("there are no kernels: install g++ to test them")
    weights, stats, x = given
    with jax.enable_x64(True):
        mix = jax.tree.map(jnp.asarray, mix_of(*CHOICES["mixed"]))
        found = both()["one"][1](weights, x, mix, stats)
        reads = [str(both()["one"][1].lower(weights, x, mix, stats).as_text()).count("dnas_normed")]
        monkeypatch.setattr(ElasticBlock, "reads_through_norms", lambda self, x: False)
        _, plain = both.__wrapped__()["one"]
        reads.append(str(plain.lower(weights, x, mix, stats).as_text()).count("dnas_normed"))
        expected = plain(weights, x, mix, stats)
    assert reads[0] > reads[1] == 0
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
