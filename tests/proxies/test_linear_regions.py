"""Linear regions of networks that are small enough to list their patterns."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find, keys
from dnas.architectures.topology import NetworkSize
from dnas.nets.functional import Deferred, Functional
from dnas.proxies.linear_regions import cut, distinct
from dnas.proxies.nwot import agreement
from dnas.proxies.protocol import thinned

RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.normal(size=(4, 6, 5, 3)), jnp.float32)


def test_patches_are_parts_of_one_channel_of_the_images_in_turn():
    patches, seen = np.asarray(cut(jax.random.key(0), IMAGES, 200)), set()
    assert patches.shape == (200, 3, 3, 1)
    for number, patch in enumerate(patches[..., 0]):
        image = np.asarray(IMAGES[number % 4])
        places = [(r, k, c) for r in range(4) for k in range(3) for c in range(3)]
        found = [(r, k, c) for r, k, c in places if (image[r : r + 3, k : k + 3, c] == patch).all()]
        assert len(found) == 1
        seen |= {*found}
    assert len(seen) > 30  # of 36 places
    assert cut(jax.random.key(0), IMAGES[:, :2], 7).shape == (7, 2, 3, 1)


def test_regions_are_different_patterns_of_all_units():
    """Two hidden layers of three units, whose 64 patterns are written out and counted."""
    first, second = RANDOM.normal(size=(9, 3)), RANDOM.normal(size=(3, 3))
    units = [first, second, RANDOM.normal(size=3), RANDOM.normal(size=3)]

    def apply(weights, stats, x, train):
        a, b, of_a, of_b = weights
        hidden = jax.nn.relu(x.reshape(len(x), 9) @ a + of_a)
        return jax.nn.relu(hidden @ b + of_b), stats

    network = Functional(lambda key: (tuple(map(jnp.float32, units)), {}), apply)
    subject, key = SimpleNamespace(thin_with=lambda classes: network), jax.random.key(3)
    evidence = SimpleNamespace(key=key, batch=SimpleNamespace(inputs=IMAGES), mix=())
    found = jax.jit(lambda: find.resolve("proxy", "linear_regions:patches=300")(subject)(evidence).value)()
    x = np.asarray(cut(keys.stream(key, "patches"), IMAGES, 300), np.float64).reshape(300, 9) @ first + units[2]
    y = np.maximum(x, 0) @ second + units[3]
    patterns = {tuple(row) for row in np.concatenate([x > 0, y > 0], 1).tolist()}
    assert 10 < len(patterns) < 65
    np.testing.assert_allclose(found, len(patterns), rtol=1e-5)


def test_patterns_of_a_plane_are_the_regions_that_lines_cut_it_into():
    """Three lines in general position: seven; two of them parallel: six; all the same: two."""
    points = jnp.asarray(np.stack(np.meshgrid(*[np.linspace(-9.97, 9.99, 60)] * 2), -1).reshape(-1, 2), jnp.float32)
    for lines, offsets, expected in (
        ([[1, 0], [0, 1], [1, 1]], [0, 0, 2], 7),
        ([[1, 0], [1, 0], [1, 1]], [0, 2, 2], 6),
        ([[1, 1], [1, 1], [2, 2]], [0, 0, 0], 2),
    ):
        seen = points @ jnp.array(lines, jnp.float32).T + jnp.array(offsets, jnp.float32)
        np.testing.assert_allclose(distinct(agreement(seen)), expected, rtol=1e-5)


def test_a_thin_network_has_all_kinds_of_cells():
    for name, cells, fewest in (("nasbench201", 5, 1), ("darts", 8, 3)):
        space = find.resolve("space", name)
        found = thinned(space, NetworkSize(cells, 16, 10))
        assert (found.cells, found.channels, found.image_channels) == (fewest, 1, 1)
        assert space.contained(found.cells) == space.contained(cells)
        space.supernet(space, found, rngs=Deferred(params=jax.random.key(0)))  # one channel is not too few
