"""NASWOT of a whole supernet: that of the path, if there is one, and of operations that see zeros."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize
from dnas.proxies.protocol import Evidence, Subject, one_path
from dnas.types import Batch

SIZE = NetworkSize(1, 2, 3)


def test_what_has_no_weight_switches_no_unit():
    """Copies of one operation, of which some are in the path: separable convolutions have a ReLU inside, too."""
    space = find.resolve("space", "darts:nodes=2,operations=none+skip_connect+sep_conv_3x3")
    whole = replace(space, search_norm=space.network_norm)
    subjects = one_path(space, SIZE, 8), Subject(lambda rngs: space.supernet(whole, SIZE, rngs=rngs), None)
    measure = find.resolve("proxy", "nwot")
    rng = np.random.default_rng(0)
    mix = {kind: jnp.asarray(rows, float) for kind, rows in as_mix(random(space, 1), space).items()}
    with jax.enable_x64(True):
        state = jax.tree.map(lambda leaf: leaf.astype(float), jax.jit(subjects[0].network.init)(jax.random.key(0)))
        batch = Batch(jnp.asarray(rng.normal(size=(5, 8, 8, 3))), jnp.arange(5) % 3)

        def kernel(subject):
            found = jax.jit(lambda mix: measure(subject)(Evidence(subject, *state, batch, None, (mix,))).parts)
            return np.asarray(found(mix))

        of_path, of_whole = map(kernel, subjects)
    assert np.ptp(of_path) > 0
    kind, expected = "reduce", 0  # of one cell, with 4 channels; along edges from its inputs it halves 8 x 8 pixels
    assert space.contained(1) == (kind,)
    for (_, source), (_, skip, separable) in zip(space.cells[kind].edges, mix[kind].tolist(), strict=True):
        large, small = 8 * 8 * 4, 4 * 4 * 4
        expected += (separable == 0) * ((large if source < 2 else small) + small) + (skip == 0) * (source < 2) * large
    assert 0 < mix[kind][:, 2].sum() < 5
    np.testing.assert_array_equal(of_whole - of_path, expected)
