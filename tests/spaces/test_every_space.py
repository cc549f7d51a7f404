"""What holds for every space: it enumerates what exists, so a new file is tested without an edit here.

That the derived network equals the supernet fed the genotype's mix is tested in tests/nets.
"""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas import find
from dnas.architectures.genotype import as_mix, check, from_json, random, to_json
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.layers import absorb
from dnas.nets.network import build
from dnas.reports import diagram
from dnas.search.discretise import strongest
from dnas.types import Noise

SPACES = find.available("space")
LARGE = {"darts", "robust", "fbnet", "proxyless", "spos", "nats_size"}  # which compile for long
NO_SUPERNET = {"mnasnet"}  # which refuses: tests/spaces/test_mnasnet.py
SEARCHED = [name for name in SPACES if name not in NO_SUPERNET]
MARKED = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in SEARCHED]
IMAGES = [name for name, space in SPACES.items() if space().takes == "images"]
CLASSES, CELLS, CHANNELS, ROWS, WORDS = 3, 3, 4, 5, 6


def tiny(name):
    """The space with two nodes, or in its smallest size, if it can be had."""
    parameters = inspect.signature(SPACES[name]).parameters
    smallest = {"nodes": 2, "size": "tiny", "stages": "8x1+12x1s2"}
    return SPACES[name](**{key: value for key, value in smallest.items() if key in parameters})


def images():
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)


def tokens():
    return jnp.asarray(np.random.default_rng(0).integers(0, CLASSES, (ROWS, WORDS)), jnp.int32)


def small(space):
    """A small size of network, an input for it, and the shape of its logits."""
    if space.takes in ("tokens", "sequences") and not space.recurrent:
        return NetworkSize(1, CHANNELS, CLASSES, inputs=(WORDS,), vocabulary=2 * CLASSES), tokens(), (ROWS, CLASSES)
    if space.takes == "tokens":
        return NetworkSize(1, CHANNELS, CLASSES, vocabulary=CLASSES), tokens(), (ROWS, WORDS, CLASSES)
    if space.takes == "features":
        return (
            NetworkSize(1, CHANNELS, CLASSES, inputs=(WORDS,)),
            images().reshape(ROWS - 1, -1)[:, :WORDS],
            (ROWS - 1, CLASSES),
        )
    return NetworkSize(1 if space.stages > 1 else CELLS, CHANNELS, CLASSES), images(), (2, CLASSES)


def logits_of(output, space):
    """Of what a supernet or a network gives; images have no state to carry."""
    outputs = output[0] if space.recurrent else output
    return outputs if isinstance(outputs, jax.Array) else outputs.logits


def test_the_spaces_are_found():
    assert {"darts", "nasbench201", "rnn"} <= set(SPACES)
    assert {"darts", "nasbench201"} <= set(IMAGES) < set(SPACES)


@pytest.mark.parametrize("name", SPACES)
def test_cells_are_sound(name):
    space = SPACES[name]()
    assert space.name == name
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(SPACES[name]).parameters.values())
    for cell in space.cells.values():
        assert len(cell.operations) == len(cell.edges) == len(set(cell.edges))
        assert all(len({*names}) == len(names) > 0 for names in cell.operations)
        assert len({len(names) for names in cell.operations}) == 1 or name in NO_SUPERNET
        assert all(set(names) <= set(space.operations) for names in cell.operations)
        assert all(0 <= source < node for node, source in cell.edges)
        assert {node for node, _ in cell.edges} == set(cell.computed)
        assert set(cell.concat or cell.computed) <= set(cell.computed)
        assert sorted(e for n in cell.computed for e in cell.incoming(n)) == list(range(len(cell.edges)))


@pytest.mark.parametrize("name", SPACES)
def test_random_genotypes_fit_and_are_written_and_read(name):
    space = SPACES[name]()
    found = {random(space, seed) for seed in range(20)}
    assert len(found) > 15
    assert random(space, 3) == random(space, 3)
    for genotype in found:
        check(genotype, space)
        assert from_json(json.loads(json.dumps(to_json(genotype)))) == genotype
        assert all(cell.mix_shape == as_mix(genotype, space)[kind].shape for kind, cell in space.cells.items())
        assert all(kind in diagram.text(genotype) or "reduction" in diagram.text(genotype) for kind in space.cells)


@pytest.mark.parametrize("name", SPACES)
def test_a_genotype_is_the_strongest_of_its_own_mix(name):
    space = SPACES[name]()
    for seed in range(5):
        genotype = random(space, seed)
        again = strongest(space, as_mix(genotype, space))
        assert [(k, set(c.edges), c.concat) for k, c in again.cells] == [
            (k, set(c.edges), c.concat) for k, c in genotype.cells
        ]


@pytest.mark.parametrize("name", MARKED)
def test_supernet_and_derived_network_run(name):
    space = tiny(name)
    size, x, shape = small(space)
    genotype = random(space, 0)
    supernet = functionalize(lambda rngs: space.supernet(space, size, rngs=rngs))
    weights, stats = jax.jit(supernet.init)(jax.random.key(0))
    more = {"noise": Noise(jax.random.key(1))} if space.draws else {}
    run = jax.jit(lambda mix: supernet.apply(weights, stats, x, mix, train=True, **more))
    uniform = {kind: np.full(shape, 1 / shape[1], np.float32) for kind, shape in space.mix_shapes.items()}
    output, moments = run(uniform)
    logits = logits_of(output, space)
    assert logits.shape == shape
    assert np.isfinite(logits).all()
    assert jax.tree.map(jnp.shape, absorb(stats, moments)) == jax.tree.map(jnp.shape, stats)
    chosen = logits_of(run(as_mix(genotype, space))[0], space)
    assert np.isfinite(chosen).all()
    assert np.abs(chosen - logits).max() > 1e-4

    network = functionalize(lambda rngs: space.network(genotype, space, size, rngs=rngs))
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    assert (network.carry is not None) == (supernet.carry is not None) == space.recurrent
    output, _ = jax.jit(lambda x: network.apply(weights, stats, x, train=True, **more))(x)
    assert logits_of(output, space).shape == shape
    assert np.isfinite(logits_of(output, space)).all()


@pytest.mark.parametrize("name", sorted({*SPACES} - {*IMAGES}))
def test_an_image_network_is_not_built_of_another_space(name):
    with pytest.raises(UserError, match=f"Networks of the space '{name}' read .*: build them with its 'network'"):
        build(random(tiny(name), 0), classes=CLASSES)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in NO_SUPERNET else name for name in IMAGES]
)
def test_a_built_network_evaluates_under_jit_and_refuses_other_images(name):
    """Traced only: what it computes is tested in tests/nets."""
    cells = CELLS if name != "nasbench201" else 1
    own = SPACES[name]() if SPACES[name]().chain_of else tiny(name)  # a genotype alone says nothing of its settings
    network = build(random(own, 0), classes=CLASSES, cells=cells, channels=CHANNELS)
    assert jax.eval_shape(lambda x: network(x).logits, images()).shape == (2, CLASSES)
    for leaf in jax.tree.leaves(nnx.as_pure(nnx.state(network))):
        assert np.isfinite(leaf).all()  # and no tracer
    calls = [network]
    if name not in NO_SUPERNET:
        supernet = tiny(name).supernet(tiny(name), NetworkSize(cells, CHANNELS, CLASSES), rngs=nnx.Rngs(0))
        mix = {kind: jnp.zeros(shape) for kind, shape in tiny(name).mix_shapes.items()}
        calls.append(lambda x: supernet(x, mix))
    for x in (images()[..., :1], jnp.tile(images(), 2), images()[0], images().transpose(0, 3, 1, 2), images()[:0]):
        for call in calls:
            with pytest.raises(UserError, match=r"built for images \[B, H, W, 3\]"):
                jax.eval_shape(call, x)
            with pytest.raises(UserError, match="takes normalised images"):
                jax.eval_shape(call, images().astype(jnp.uint8))
