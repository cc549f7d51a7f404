"""ASAP: its temperatures, its thresholds, and what is left at the end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.config import AlphaConfig, SearchConfig
from dnas.errors import UserError
from dnas.methods import asap
from dnas.search import relax
from dnas.search.discretise import strongest
from dnas.spaces import darts, nasbench201
from dnas.types import Clock

ALL = nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1+avg_pool_3x3")
SOME = darts.space(nodes=2, operations="none+skip_connect+sep_conv_3x3")  # nodes 2 and 3 with 2 and 3 edges


def test_the_temperature_falls_by_a_factor_of_0_95_in_50_epochs():
    method = find.resolve("method", "asap")

    def temperature(epoch):
        clock = Clock(jnp.int32(0), jnp.int32(epoch), 50)
        ((first, second, third),) = method.relax({"cell": jnp.array([[0.3, -0.2, 0.1]])}, None, clock)["cell"]
        assert first + second + third == pytest.approx(1)
        assert np.log(first / third) / np.log(first / second) == pytest.approx(0.2 / 0.5, rel=1e-4)
        return 0.5 / np.log(first / second)

    np.testing.assert_allclose([temperature(0), temperature(49)], [1.6, 0.13], rtol=1e-4)
    np.testing.assert_allclose([temperature(1) / temperature(0), temperature(11) / temperature(10)], 0.95, rtol=1e-3)


def test_alphas_wait_until_it_is_below_the_grace_temperature():
    method = find.resolve("method", "asap")
    (phase,) = method.phases(ALL, SearchConfig(epochs=50))
    assert phase.config.alphas.warmup_epochs == 10  # 1.6 * 0.95 ** 9 is above 1
    (phase,) = method.phases(ALL, SearchConfig(epochs=50, alphas=AlphaConfig(warmup_epochs=20)))
    assert phase.config.alphas.warmup_epochs == 20
    with pytest.raises(UserError, match="search.epochs, 1, end before it is that cold"):
        method.phases(ALL, SearchConfig(epochs=1))
    for setting in ("coldest=2", "grace=0.1"):
        with pytest.raises(UserError, match="coldest that is at most hottest and below grace"):
            find.resolve("method", f"asap:{setting}")


def test_what_weighs_less_than_a_part_of_the_mean_is_pruned():
    cell, everything = ALL.cells["cell"], np.ones((3, 4), bool)
    mix = np.array([[0.1, 0.3, 0.5, 0.1], [0.09, 0.3, 0.52, 0.09], [0.25] * 4])
    left = asap.pruned(cell, mix, everything, 0.4)  # below 0.1
    np.testing.assert_array_equal(left, [[1, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    again = np.array([[0.1, 0.3, 0.5, 0.1], [0, 0.19, 0.81, 0], [0.25] * 4])
    np.testing.assert_array_equal(asap.pruned(cell, again, left, 0.4)[1], [0, 0, 1, 0])  # below 0.2
    np.testing.assert_array_equal(asap.pruned(cell, again, everything, 0.0), everything)


def test_a_weight_of_zero_is_never_divided_by():
    alphas = {"cell": jnp.array([[500.0, -500.0, 0.0]])}
    mask = {"cell": jnp.array([[0.0, 1.0, 0.0]])}

    def only(alphas):
        return relax.masked(relax.annealed(lambda clock: 1e-4)(alphas, None, None), mask)["cell"][0, 1]

    value, gradient = jax.jit(jax.value_and_grad(only))(alphas)
    assert value == 1 and np.isfinite(gradient["cell"]).all()


def test_a_node_keeps_as_many_edges_as_a_genotype_and_the_strongest():
    cell = SOME.cells["normal"]
    mix = np.array([[0.9, 0.06, 0.04], [0.9, 0.04, 0.06], [0.96, 0.02, 0.02], [0.1, 0.1, 0.8], [0.05, 0.9, 0.05]])
    left = asap.pruned(cell, mix, np.ones((5, 3), bool), 0.4)
    # `none` wins on edges 0, 1 and 2, but a node needs two: those of node 2 keep their best operation beside it
    np.testing.assert_array_equal(left, [[1, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    decided = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 1, 0]], bool)
    alphas = np.array([[0.0, 1, 0], [0, 0, 1], [0, 0.1, 0], [0, 0, 3], [5, 5.5, 5]])
    limited = asap.limited(cell, alphas, decided, last=False)
    np.testing.assert_array_equal(limited.any(-1), [1, 1, 0, 1, 1])
    decided[3] = True
    assert asap.limited(cell, alphas, decided, last=False).any(-1).all()
    assert asap.limited(cell, alphas, decided, last=True).any(-1).sum() == 4


def test_at_the_end_one_network_is_left(view):
    """Alphas that drift apart, annealed and pruned as a search does."""
    method = find.resolve("method", "asap")
    drift = {kind: np.random.default_rng(i).normal(size=(5, 3)) for i, kind in enumerate(SOME.cells)}
    mask, counts = {kind: np.ones((5, 3)) for kind in SOME.cells}, []

    @jax.jit
    def mix_of(alphas, mask, epoch):
        return relax.masked(method.relax(alphas, None, Clock(epoch, epoch, 50)), mask)

    for epoch in range(1, 51):
        alphas = {kind: d * max(0, epoch - 10) / 20 for kind, d in drift.items()}
        mix = mix_of(jax.tree.map(jnp.float32, alphas), jax.tree.map(jnp.float32, mask), jnp.int32(epoch))
        seen = view(SOME, mix, epoch=epoch, mask=mask)._replace(alphas=alphas)
        mask = method.between_epochs(seen).mask
        counts.append(sum(int(m.sum()) for m in mask.values()))
    assert counts[9] == 30 and counts[-1] == 8 and all(np.diff(counts) <= 0)
    assert len(set(counts)) > 5  # one after the other
    for kind, cell in SOME.cells.items():
        assert all(mask[kind][cell.incoming(node)].sum() == 2 for node in cell.computed)
    final = method.select(SOME, mask, None, 0)
    assert final == strongest(SOME, mask)
