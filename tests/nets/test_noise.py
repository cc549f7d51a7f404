"""Operations that are random draw anew at every forward pass, and on every edge of every cell something else."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.genotype import CellGenotype, Edge, Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Norm
from dnas.config import RetrainConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize, takes_noise
from dnas.nets.network import DerivedCell, Network, build
from dnas.nets.ops import ALWAYS_RANDOM, OPERATIONS
from dnas.nets.supernet import MixedCell, Supernet
from dnas.search.supernets import dropped_skips
from dnas.spaces import nasbench201, robust
from dnas.tasks.classification import Classification
from dnas.training.step import make_training
from dnas.types import Batch, Noise

S4 = robust.space(name="s4", nodes=2)
EDGES = (Edge(2, 0, "noise"), Edge(2, 1, "noise"), Edge(3, 0, "noise"), Edge(3, 2, "noise"))
ALL_NOISE = Genotype("robust", tuple((kind, CellGenotype(EDGES, (2, 3))) for kind in ("normal", "reduce")))
SIZE = NetworkSize(3, 2, 3)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)
AFFINE = Norm(affine=True, pools=False)


def noise(seed):
    return Noise(jax.random.key(seed))


@pytest.fixture(scope="module")
def network():
    """apply(noise, train, x) -> logits; of its cells nothing but noise comes out."""
    pure = functionalize(lambda rngs: Network(ALL_NOISE, S4, SIZE, rngs=rngs))
    state = jax.jit(pure.init)(jax.random.key(0))
    apply = jax.jit(lambda x, noise, train: pure.apply(*state, x, None, noise, train=train)[0].logits, static_argnums=2)
    return lambda noise, train=True, x=X: apply(x, noise, train)


@pytest.mark.parametrize("train", [True, False])
def test_a_derived_network_draws_anew_for_every_key(network, train):
    first = network(noise(0), train)
    np.testing.assert_array_equal(first, network(noise(0), train))
    assert np.abs(first - network(noise(1), train)).max() > 1e-3


def test_images_of_a_batch_meet_different_noise(network):
    same = jnp.broadcast_to(X[:1], X.shape)
    for logits in (network(noise(0), False, same), network(None, False, same)):
        assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_noise_is_told_from_a_bare_key(network):
    with pytest.raises(UserError, match=r"dnas\.types\.Noise\(key\), not of type"):
        network(jax.random.key(0), False)


def test_a_built_network_finds_its_noise_without_the_settings_of_its_space():
    """A genotype of S4 says "robust", of which the default is S1."""
    built = build(ALL_NOISE, classes=3, cells=3, channels=2)
    evaluate = jax.jit(lambda x, noise: built(x, noise=noise).logits)
    first, second = evaluate(jnp.zeros_like(X), None)
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(evaluate(X, noise(0)) - evaluate(X, noise(1))).max() > 1e-4


def test_training_without_a_key_is_refused_and_evaluation_repeats_itself(network):
    with pytest.raises(UserError, match=r"noise=dnas\.types\.Noise\(key\)"):
        network(None)
    np.testing.assert_array_equal(network(None, False), network(None, False))


def draws_of(cell, mix=None):
    """What comes out of a cell that black images enter."""
    x = jnp.zeros((1, 4, 4, 2))
    return cell([x, x], (mix, noise(0)))


def test_every_edge_draws_its_own():
    def cell(*edges):
        genotype = Genotype("robust", (("normal", CellGenotype(edges, (2,))),))
        return DerivedCell(genotype, S4, "normal", 2, AFFINE, rngs=nnx.Rngs(0))

    first, second = draws_of(cell(EDGES[0])), draws_of(cell(EDGES[1]))
    assert np.abs(first - second).max() > 0.1
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.6
    np.testing.assert_allclose(draws_of(cell(*EDGES[:2])), first + second, rtol=1e-6)  # whatever else there is


def test_every_cell_draws_its_own(monkeypatch):
    """Also in evaluation without a key: no two draws of a forward pass are equal."""
    for space, size, genotype in (
        (S4, replace(SIZE, cells=5, loop=True), ALL_NOISE),
        (
            nasbench201.space(nodes=3, operations="noise+skip_connect"),
            NetworkSize(2, 2, 3, loop=True),
            Genotype(
                "nasbench201",
                (("cell", CellGenotype(tuple(Edge(n, s, "noise") for n, s in ((1, 0), (2, 0), (2, 1))))),),
            ),
        ),
    ):
        pure = functionalize(lambda rngs, g=genotype, s=space, b=size: Network(g, s, b, rngs=rngs))

        @jax.jit
        def keys(key, pure=pure):
            drawn, normal = [], jax.random.normal
            with monkeypatch.context() as patch:
                patch.setattr(jax.random, "normal", lambda key, *args: drawn.append(key) or normal(key, *args))
                pure.apply(*pure.init(key), X, train=False)
            return jax.random.key_data(jnp.stack(drawn))

        found = np.asarray(keys(jax.random.key(0)))
        assert len(found) == space.cell_count(size.cells) * len(genotype.cells[0][1].edges)
        assert len({tuple(key) for key in found}) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
def test_the_derived_network_meets_the_noise_of_the_supernet(train):
    """Fed the genotype's mix and the same key, and in evaluation without any."""
    supernet = functionalize(lambda rngs: Supernet(S4, SIZE, rngs=rngs))
    derived = functionalize(lambda rngs: Network(ALL_NOISE, S4, SIZE, norm=S4.search_norm, rngs=rngs))
    weights, stats = jax.jit(supernet.init)(jax.random.key(0))
    own = jax.eval_shape(derived.init, jax.random.key(0))

    def part(tree, like):  # noise has no weights, so that the derived network's are some of the supernet's
        return {k: part(tree[k], v) if isinstance(v, dict) else tree[k] for k, v in like.items()}

    mix = jax.tree.map(jnp.asarray, as_mix(ALL_NOISE, S4))
    for given in (noise(3), *([] if train else [None])):
        expected, _ = jax.jit(lambda given: supernet.apply(weights, stats, X, mix, given, train=train))(given)
        state = part(weights, own[0]), part(stats, own[1])
        found, _ = jax.jit(lambda given, state=state: derived.apply(*state, X, None, given, train=train))(given)
        np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-5)


def test_every_edge_of_a_supernet_draws_its_own():
    cell = MixedCell(S4, "normal", 2, False, rngs=nnx.Rngs(0))
    draw = jax.jit(lambda cell, mix: draws_of(cell, mix)[..., :2])
    draws = [draw(cell, jnp.zeros(S4.mix_shapes["normal"]).at[e, 0].set(1)) for e in (0, 1)]
    assert np.abs(draws[0] - draws[1]).max() > 0.1


@pytest.mark.slow
def test_dropped_skips_drop_nothing_in_evaluation_beside_noise():
    space = dropped_skips(nasbench201.space(nodes=3, operations="noise+skip_connect"))
    net = functionalize(lambda rngs: Supernet(space, NetworkSize(1, 2, 3), rngs=rngs))
    state = jax.jit(net.init)(jax.random.key(0))
    skip, any_noise = ({"cell": jnp.eye(2)[jnp.full(3, o)]} for o in (1, 0))
    apply = jax.jit(lambda mix, given: net.apply(*state, X, mix, given, train=False)[0])
    plain = [apply(skip, given) for given in (None, noise(0), noise(1))]
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-6)
    np.testing.assert_allclose(plain[1], plain[2], rtol=1e-6)
    noisy = [apply(any_noise, given) for given in (noise(0), noise(1))]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-3


def test_a_training_draws_noise_at_every_step():
    """By the number of the step and the key of the run: everything else is the same."""
    pure = functionalize(lambda rngs: Network(ALL_NOISE, S4, SIZE, rngs=rngs))
    training = make_training(pure, Classification(), RetrainConfig(drop_path=0.0, auxiliary=0.0), 10, draws=True)
    state = jax.jit(training.init)(jax.random.key(0))
    states = state, state._replace(step=state.step + 1), state._replace(key=jax.random.key(5)), state
    step = jax.jit(training.step)
    losses = [float(step(state, Batch(X, jnp.arange(2)))[1]["loss"][0]) for state in states]
    assert losses[0] == losses[3] and len({round(loss, 4) for loss in losses}) == 3


def test_which_operations_take_noise_is_seen():
    build = {name: OPERATIONS[name](2, 1, AFFINE, rngs=nnx.Rngs(0)) for name in OPERATIONS}
    assert {name for name, operation in build.items() if takes_noise(operation)} == {"noise"} == ALWAYS_RANDOM
