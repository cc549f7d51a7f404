"""Networks of sentences: the derived one is the supernet of its own mix, exactly; padding changes nothing; refusals."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.genotype import as_mix, parse, random
from dnas.architectures.genotype_data import of_decisions
from dnas.architectures.topology import NetworkSize, with_operations
from dnas.errors import UserError
from dnas.nets import sentences
from dnas.nets.functional import functionalize
from dnas.nets.sentences import in_columns
from dnas.nets.tabular import weighted_sum
from dnas.spaces import text
from dnas.types import Noise

SPACE = text.space(layers=5, inputs=3)
SIZE = NetworkSize(1, 4, 3, inputs=(5,), vocabulary=9)
NOISE = Noise(jax.random.key(7))
TOKENS = np.array([[3, 4, 5, 6, 2], [7, 8, 0, 0, 0], [1, 3, 5, 0, 0]], np.int32)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def supernet_of(space=SPACE, size=SIZE):
    return functionalize(lambda rngs: space.supernet(space, size, rngs=rngs))


def network_of(genotype, space=SPACE, size=SIZE, norm=SPACE.search_norm):
    return functionalize(lambda rngs: space.network(genotype, space, size, norm=norm, rngs=rngs))


def filled(network):
    """Weights, and statistics that no training would give."""
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    leaves, structure = jax.tree.flatten(weights)
    weights = structure.unflatten([draw(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)])
    leaves, structure = jax.tree.flatten(stats)
    return weights, structure.unflatten([jnp.abs(draw(*leaf.shape, seed=i)) + 0.1 for i, leaf in enumerate(leaves)])


def genotypes():
    """Every operation and every input in some layer."""
    names = [[*cell.operations[0]] for cell in SPACE.cells.values()]
    for shift in range(2):
        options = [dict(zip(SPACE.cells, (names[0][5 * shift + i], names[1][(shift + i * i) % 3]), strict=True))
                   for i in range(5)]  # fmt: skip
        yield of_decisions("text", options)
    yield random(SPACE, 0)


def derived_of(tree, genotype):
    """The part of the supernet's weights, or statistics, that the derived network has."""
    stacked, layers = tree["body"]["layers"]["operations"], {}
    for number, edge in enumerate(genotype.cell("operation").edges):
        if (name := edge.operation) in stacked:
            layers[number] = {"operations": {name: jax.tree.map(lambda leaf, n=number: leaf[n], stacked[name])}}
    return {"body": {"ends": tree["body"]["ends"], **({"layers": layers} if layers else {})}}


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
def test_the_derived_network_equals_the_supernet_of_its_mix(train):
    supernet = supernet_of()
    weights, stats = filled(supernet)
    mixed = jax.jit(lambda mix: supernet.apply(weights, stats, TOKENS, mix, train=train, noise=NOISE))
    for genotype in genotypes():
        network = network_of(genotype)
        own = derived_of(weights, genotype), derived_of(stats, genotype)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, shapes)
        theirs, moments = mixed({kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, SPACE).items()})
        ours, own_moments = jax.jit(partial(network.apply, train=train))(*own, TOKENS, noise=NOISE)
        np.testing.assert_allclose(ours.logits, theirs, rtol=1e-11, atol=1e-11)
        jax.tree.map(
            partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12), own_moments, derived_of(moments, genotype)
        )


@pytest.mark.slow
def test_options_make_a_difference_and_every_row_has_a_derivative():
    """The equality above would hold for a supernet that ignores its mix."""
    space = text.space(layers=3, inputs=2)
    supernet = supernet_of(space)
    weights, stats = filled(supernet)

    @jax.jit
    def logits(mix):
        return supernet.apply(weights, stats, TOKENS, mix, train=True)[0]

    mix = {kind: jax.nn.softmax(draw(*shape, seed=1)) for kind, shape in space.mix_shapes.items()}
    gradient = jax.jit(jax.grad(lambda mix: (logits(mix) ** 2).sum()))(mix)
    flowing = np.array(space.cells["operation"].operations[0]) != "none"
    assert (np.abs(gradient["operation"])[:, flowing] > 1e-8).all() and not gradient["operation"][:, ~flowing].any()
    assert (np.abs(gradient["input"]) > 1e-8).all()
    np.testing.assert_allclose(gradient["input"][0, 0], gradient["input"][0, 1], rtol=1e-9)  # both are the embedding
    found = []
    for name in space.cells["operation"].operations[0]:
        layer = {"operation": name, "input": "1"}
        found.append(logits(as_mix(of_decisions("text", [layer] * 3), space)))
    for i, one in enumerate(found):
        assert all(np.abs(one - other).max() > 1e-4 for other in found[:i])


@pytest.mark.slow
def test_padding_changes_neither_a_step_nor_an_answer():
    """Filled up to 5 or to 9 tokens: logits, moments and gradients of a training with dropout are the same."""
    space = text.space(size="tiny", operations="conv_3+max_pool_3+gru+attention+none")
    supernet = supernet_of(space)
    weights, stats = filled(supernet)
    mix = {kind: jax.nn.softmax(draw(*shape, seed=1)) for kind, shape in space.mix_shapes.items()}

    def loss(weights, tokens):
        logits, moments = supernet.apply(weights, stats, tokens, mix, train=True, noise=NOISE)
        return (logits**2).sum(), (logits, moments)

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    longer = np.pad(TOKENS, ((0, 0), (0, 4)))
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
    jax.tree.map(close, step(weights, TOKENS), step(weights, longer))
    answers = [supernet.apply(weights, stats, tokens, mix, train=False)[0] for tokens in (TOKENS, longer)]
    close(*answers)
    alone = supernet.apply(weights, stats, TOKENS[1:2, :2], mix, train=False)[0]
    close(alone[0], answers[0][1])


@pytest.mark.slow
def test_loops_and_remat_compute_the_same():
    space = text.space(size="tiny", operations="conv_3+gru+none")
    mix = {kind: jax.nn.softmax(draw(*shape, seed=1)) for kind, shape in space.mix_shapes.items()}
    found = []
    for size in (SIZE, replace(SIZE, loop=True), replace(SIZE, remat=True)):
        supernet = supernet_of(space, size)
        weights, stats = filled(supernet)

        def loss(weights, supernet=supernet, stats=stats):
            logits, moments = supernet.apply(weights, stats, TOKENS, mix, train=True, noise=NOISE)
            return (logits**2).sum(), moments

        found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(weights))
    for other in found[1:]:
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), found[0], other)


@pytest.mark.slow
@pytest.mark.parametrize("paths", ["one", "one_with_scalars"])
def test_one_path(paths):
    """The same outputs and derivatives as if all operations were computed, and statistics of what was not stay."""
    space = text.space(size="tiny", operations="conv_1+conv_3+none", dropout=0.0)
    mix = {kind: jax.nn.softmax(draw(*shape, seed=1)) for kind, shape in space.mix_shapes.items()}
    mix["operation"] = jnp.array([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])
    supernet = supernet_of(replace(space, paths=paths))
    weights, stats = filled(supernet)

    def loss(mix):
        logits, moments = supernet.apply(weights, stats, TOKENS, mix, train=True)
        return (logits**2).sum(), moments

    (found, moments), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(mix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences.Layer, "_one_path", every_path)
        (expected, _), others = jax.jit(jax.value_and_grad(lambda mix: loss(mix), has_aux=True))(mix)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), gradient, others)
    kept, seen = (tree["body"]["layers"]["operations"] for tree in (stats, moments))
    same = [[bool((kept[o]["norm"]["mean"][n] == seen[o]["norm"]["mean"][n]).all()) for o in kept] for n in range(2)]
    assert same == [[False, True], [True, False]]


def every_path(layer, x, mask, row, dropped):
    values = [sentences._value(layer.operations, name, x, mask, dropped) for name in layer.names]
    return weighted_sum(row, values, layer.paths)


def test_layers_may_have_unlike_options():
    table = jnp.array([[1.0, 2, 0], [3, 4, 5]])
    found = in_columns(table, [("b", "a"), ("c", "a", "b")], ["a", "b", "c"])
    np.testing.assert_array_equal(found, [[2, 1, 0], [4, 5, 3]])


@pytest.mark.slow
def test_what_is_pruned_computes_the_same():
    space = text.space(size="tiny", operations="conv_1+identity+none")
    kept = {"operation": [("identity", "none"), ("conv_1", "identity")], "input": [("2",), ("1", "2")]}
    pruned = with_operations(space, kept)
    weights, stats = filled(supernet_of(space))
    genotype = parse("text(operation=[identity, conv_1], input=[2, 1])")
    ours, theirs = (
        supernet_of(one).apply(weights, stats, TOKENS, as_mix(genotype, one), train=True)[0] for one in (pruned, space)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_inputs_and_sizes_that_do_not_fit():
    space = text.space(size="tiny", operations="identity+none", dropout=0.1)
    genotype = random(space, 0)
    network = space.network(genotype, space, SIZE, rngs=nnx.Rngs(0))
    supernet = space.supernet(space, SIZE, rngs=nnx.Rngs(0))
    mix = as_mix(genotype, space)
    assert nnx.view(network, use_running_average=True)(TOKENS).logits.shape == (3, 3)
    for call in (network, lambda x: supernet(x, mix)):
        for x in (TOKENS[0], TOKENS[:0], TOKENS.astype(float), TOKENS[..., None]):
            with pytest.raises(UserError, match=r"reads tokens, whole numbers \[B, T\]"):
                call(x)
    with pytest.raises(UserError, match="expected a dictionary"):
        supernet(TOKENS, {"operation": mix["operation"]})
    with pytest.raises(UserError, match="draws noise"):
        network(TOKENS)
    with pytest.raises(UserError, match="no paths to drop"):
        network(TOKENS, jnp.ones((1, 3, 2)))
    for size, says in (
        (replace(SIZE, vocabulary=0), "here are 0 tokens"),
        (replace(SIZE, classes=9), "not what follows each token, and here are 9 tokens and 9 outputs"),
        (replace(SIZE, stem="imagenet"), "no stem"),
    ):
        for made in (supernet_of, partial(network_of, genotype)):
            with pytest.raises(UserError, match=says):
                made(space, size)
    with pytest.raises(UserError, match="Partial channels"):
        supernet_of(replace(space, partial_channels=2))
    with pytest.raises(UserError, match="Entangled weights"):
        supernet_of(replace(space, entangled=True))
    for layers, says in (
        ([{"operation": "conv_2", "input": "1"}], "Unknown operation of layer 1: 'conv_2'"),
        ([{"operation": "gru", "input": "1"}, {"operation": "gru", "input": "0"}], "input of layer 2 is '0'"),
        ([{"operation": "gru", "width": "1"}], "decides operation and input once for each layer"),
    ):
        with pytest.raises(UserError, match=says):
            network_of(of_decisions("text", layers), space)
