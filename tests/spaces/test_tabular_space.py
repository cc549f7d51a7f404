"""Layers of decisions: the derived network is the supernet of its own mix, exactly; texts; refusals."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures import flow
from dnas.architectures.genotype import as_mix, check, from_json, parse, random, to_json, to_text
from dnas.architectures.genotype_data import decisions, of_decisions
from dnas.architectures.topology import NetworkSize, with_operations
from dnas.errors import UserError
from dnas.nets import count
from dnas.nets.functional import functionalize
from dnas.nets.network import build
from dnas.nets.tabular import LayerNorm, weighted_sum
from dnas.reports import diagram
from dnas.spaces import tabular
from dnas.types import Noise

SPACE = tabular.space(layers=2)
SIZE = NetworkSize(1, 8, 3, inputs=(5,))
NOISE = Noise(jax.random.key(7))
LAYER = {"width": "1", "activation": "relu", "skip": "none", "norm": "none", "dropout": "0"}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def supernet_of(space=SPACE, size=SIZE):
    return functionalize(lambda rngs: space.supernet(space, size, rngs=rngs))


def network_of(genotype, space=SPACE, size=SIZE, norm=None):
    return functionalize(lambda rngs: space.network(genotype, space, size, norm=norm, rngs=rngs))


def filled(network, seed=0):
    """Weights, and statistics that no training would give."""
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    leaves, structure = jax.tree.flatten(weights)
    weights = structure.unflatten([0.5 * draw(*leaf.shape, seed=seed + i) for i, leaf in enumerate(leaves)])
    return weights, jax.tree.map(lambda leaf: jnp.abs(draw(*leaf.shape, seed=99)) + 0.1, stats)


def cut(wide, shapes):
    """The first channels of every array that the narrow network has too."""
    if isinstance(shapes, dict):
        return {name: cut(wide[name], part) for name, part in shapes.items()}
    return wide[tuple(slice(size) for size in shapes.shape)]


def genotypes():
    """Every option of every decision in some layer, and random ones."""
    names = {kind: cell.operations[0] for kind, cell in SPACE.cells.items()}
    for shift in range(4):
        yield of_decisions("tabular", [{k: n[(shift + i * i) % len(n)] for k, n in names.items()} for i in range(2)])
    for seed in range(2):
        yield random(SPACE, seed)


def test_the_genotypes_of_these_tests_have_every_option():
    found = {(kind, edge.operation) for one in genotypes() for kind, cell in one.cells for edge in cell.edges}
    assert found == {(kind, name) for kind, cell in SPACE.cells.items() for name in cell.operations[0]}


@pytest.mark.parametrize("train", [True, False])
def test_the_derived_network_equals_the_supernet_of_its_mix(train):
    supernet, x = supernet_of(), draw(6, 5, seed=3)
    weights, stats = filled(supernet)
    mixed = jax.jit(lambda mix: supernet.apply(weights, stats, x, mix, train=train, noise=NOISE))
    for genotype in genotypes():
        network = network_of(genotype, norm=SPACE.search_norm)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        own = cut(weights, shapes[0]), cut(stats, shapes[1])
        theirs, moments = mixed({kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, SPACE).items()})
        derived = jax.jit(partial(network.apply, train=train))
        ours, own_moments = derived(*own, x, noise=NOISE)
        np.testing.assert_allclose(ours.logits, theirs, rtol=1e-12, atol=1e-12, err_msg=to_text(genotype))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), own_moments, cut(moments, shapes[1]))


def test_options_make_a_difference():
    """The equality above would hold for a supernet that ignores its mix."""
    supernet = supernet_of()
    weights, stats = filled(supernet)
    mixed = jax.jit(lambda mix: supernet.apply(weights, stats, draw(6, 5), mix, train=True, noise=NOISE)[0])
    for decision, cell in SPACE.cells.items():
        found = []
        for option in cell.operations[0]:
            layers = [LAYER | {"skip": "projection"} | {decision: option}] * 2
            found.append(mixed(as_mix(of_decisions("tabular", layers), SPACE)))
        for i, one in enumerate(found):
            assert all(np.abs(one - other).max() > 1e-3 for other in found[:i]), decision


@pytest.mark.slow
def test_every_row_of_the_mix_has_a_derivative():
    supernet = supernet_of()
    weights, stats = filled(supernet)
    mix = {kind: jax.nn.softmax(draw(*shape, seed=1)) for kind, shape in SPACE.mix_shapes.items()}

    @jax.jit
    def loss(mix):
        return (supernet.apply(weights, stats, draw(6, 5), mix, train=True, noise=NOISE)[0] ** 2).sum()

    gradient = jax.jit(jax.grad(loss))(mix)
    for kind, table in gradient.items():
        used = np.array(SPACE.cells[kind].operations) != "none" if kind == "skip" else np.ones(table.shape, bool)
        assert (np.abs(table)[used] > 1e-8).all(), kind
    at, step = ("norm", 1, 2), 1e-6
    moved = [loss({**mix, "norm": mix["norm"].at[at[1:]].add(sign * step)}) for sign in (1, -1)]
    np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), gradient["norm"][at[1:]], rtol=1e-5)


def test_layer_norm_sees_the_kept_channels_only():
    x, norm = draw(4, 6), LayerNorm(6, affine=False)
    mask = jnp.array([1.0, 1, 1, 0, 0, 0])
    narrow = x[:, :3]
    expected = (narrow - narrow.mean(1, keepdims=True)) / np.sqrt(narrow.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(x, mask)[:, :3], expected, rtol=1e-12)
    np.testing.assert_allclose(norm(x.at[:, 3:].set(1e6), 0.3 * mask)[:, :3], expected, rtol=1e-12)
    assert np.isfinite(norm(x, 0 * mask)).all()


def test_dropout_drops_and_keeps_the_mean():
    space = tabular.space(layers=1, dropouts="0.3")
    genotype = of_decisions("tabular", [LAYER | {"dropout": "0.3"}])
    assert space.draws and not tabular.space(dropouts="0").draws
    network = network_of(genotype, space)
    weights, stats = filled(network)
    x = draw(1, 5)

    def outputs(key):
        return network.apply(weights, stats, x, train=True, noise=Noise(key))[0].logits

    dropped = jax.vmap(outputs)(jax.random.split(jax.random.key(0), 4000))
    kept = network.apply(weights, stats, x, train=False)[0].logits
    np.testing.assert_allclose(dropped.mean(0), kept, atol=6 * dropped.std() / np.sqrt(4000))
    assert dropped.std() > 0.1
    with pytest.raises(UserError, match="draws noise"):
        network.apply(weights, stats, x, train=True)


def test_layers_drop_different_channels():
    space = tabular.space(layers=2, dropouts="0.5", skips="none", norms="none")
    genotype = of_decisions("tabular", [LAYER | {"dropout": "0.5"}] * 2)
    size = replace(SIZE, inputs=(8,), classes=8)
    network = network_of(genotype, space, size)
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    eye = jax.tree.map(lambda leaf: jnp.eye(8) if len(leaf.shape) == 2 else jnp.zeros(leaf.shape), weights)
    out = network.apply(eye, {}, jnp.ones((400, 8)), train=True, noise=NOISE)[0].logits
    assert set(np.unique(out)) == {0, 4}  # dropped by either, or kept by both
    assert 0.2 < (out > 0).mean() < 0.3


@pytest.mark.parametrize("paths", ["one", "one_with_scalars"])
def test_one_path(paths):
    values = [jnp.array(2.0), jnp.array(5.0), jnp.array(7.0)]
    row = jnp.array([0.2, 0.5, 0.3])
    found, gradient = jax.value_and_grad(lambda row: weighted_sum(row, values, paths))(row)
    scalars = paths == "one_with_scalars"
    np.testing.assert_allclose(found, 0.5 * 5 + (0.5 if scalars else 0))
    np.testing.assert_allclose(gradient, [1, 5, 1] if scalars else [0, 5, 0])
    space = replace(SPACE, paths=paths)
    supernet = supernet_of(space)
    weights, stats = filled(supernet)
    mix = as_mix(random(SPACE, 0), SPACE)
    one, every = (jax.jit(partial(net.apply, train=True))(weights, stats, draw(6, 5), mix)[0]
                  for net in (supernet, supernet_of()))  # fmt: skip
    np.testing.assert_allclose(one, every, rtol=1e-12)


def test_what_is_pruned_leaves_the_weights_as_they_are():
    kept = {kind: [names[:2] for names in cell.operations] for kind, cell in SPACE.cells.items()}
    kept["norm"][0] = ["layer"]
    pruned = with_operations(SPACE, kept)
    supernet, whole = supernet_of(pruned), supernet_of()
    weights, stats = filled(whole)
    shapes = jax.eval_shape(supernet.init, jax.random.key(0))
    genotype = of_decisions("tabular", [LAYER | {"width": "0.5", "norm": "layer"}, LAYER | {"width": "0.25"}])
    own = cut(weights, shapes[0]), cut(stats, shapes[1])
    assert jax.tree.map(jnp.shape, own[0]) == jax.tree.map(jnp.shape, shapes[0])
    kernel = own[0]["layers"]["layers"][0]["dense"]["kernel"]
    assert kernel.shape == (5, 16)  # of the widest candidate there ever was
    ours = supernet.apply(*own, draw(6, 5), as_mix(genotype, pruned), train=True)[0]
    theirs = whole.apply(weights, stats, draw(6, 5), as_mix(genotype, SPACE), train=True)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_texts():
    text = (
        "tabular(width=[1, 0.5], activation=[relu, tanh], skip=[none, identity], norm=[batch, none], dropout=[0, 0.5])"
    )
    genotype = parse(text)
    assert to_text(genotype) == text
    assert parse("The best: " + text.replace("relu", "'relu'").replace(" ", "\n")) == genotype
    assert from_json(to_json(genotype)) == genotype
    assert decisions(genotype)[1] == {"width": "0.5", "activation": "tanh", "skip": "identity", "norm": "none",
                                      "dropout": "0.5"}  # fmt: skip
    check(genotype, SPACE)
    assert decisions(parse("|none~0|")) is None and decisions(parse("DARTS_V2")) is None
    assert diagram.text(genotype).splitlines() == [
        "layer  width  activation  skip      norm   dropout",
        "1      1      relu        none      batch  0",
        "2      0.5    tanh        identity  none   0.5",
    ]


def test_something_flows_through_every_layer():
    """Whatever has "none" as an option: a skip and a norm can be left out."""
    genotype = of_decisions("tabular", [LAYER] * 2)
    assert not flow.is_constant(genotype, SPACE, 1) and not flow.warning(genotype, SPACE, 1)
    assert not flow.warning(genotype, None, 1)


def test_a_picture_is_drawn(tmp_path):
    path = tmp_path / "layers.png"
    diagram.draw(random(tabular.space(layers=8), 0), path)
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tabular(width=[1], width=[2])", "the field 'width' once"),
        ("tabular(width=[], norm=[])", "an option of 'width'"),
    ],
)
def test_texts_that_are_none(text, words):
    with pytest.raises(UserError, match=words):
        parse(text)


def test_every_layer_has_every_decision():
    longer = "width=[1, 0.5], activation=[relu], skip=[none], norm=[none], dropout=[0]"
    with pytest.raises(UserError, match="found {.*'width': 2}, expected as many options for each decision"):
        check(parse(f"tabular({longer})"), SPACE)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"width": "1", "norm": "none"}], "decides width, activation"),
        ([LAYER | {"norm": "relu"}], "Unknown norm of layer 1: 'relu'"),
        ([LAYER, LAYER | {"width": "0.5"}, LAYER | {"width": "0.30"}], "Unknown width of layer 3"),
    ],
)
def test_genotypes_of_which_there_is_no_network(layers, words):
    with pytest.raises(UserError, match=words):
        network_of(of_decisions("tabular", layers))


def test_inputs_and_sizes_that_do_not_fit():
    genotype = random(SPACE, 0)
    network = nnx.view(SPACE.network(genotype, SPACE, SIZE, rngs=nnx.Rngs(0)), use_running_average=True)
    supernet = SPACE.supernet(SPACE, SIZE, rngs=nnx.Rngs(0))
    mix = as_mix(genotype, SPACE)
    assert network(np.zeros((2, 5), np.float32)).logits.shape == (2, 3)
    for call in (network, lambda x: supernet(x, mix)):
        for x in (draw(2, 4), draw(5), draw(0, 5), draw(2, 5, 1)):
            with pytest.raises(UserError, match=r"built for features \[B, 5\]"):
                call(x)
        with pytest.raises(UserError, match="takes features of"):
            call(jnp.zeros((2, 5), int))
        with pytest.raises(UserError, match="cannot be read as one array"):
            call([[1.0, 2.0], [3.0]])
    with pytest.raises(UserError, match="no paths to drop"):
        network(draw(2, 5), jnp.ones((1, 3, 2)))
    with pytest.raises(UserError, match="expected a dictionary"):
        supernet(draw(2, 5), {"width": mix["width"]})
    for size, words in ((replace(SIZE, inputs=(8, 8, 3)), "features"), (replace(SIZE, stem="imagenet"), "no stem")):
        for made in (supernet_of, partial(network_of, genotype)):
            with pytest.raises(UserError, match=words):
                made(size=size)
    with pytest.raises(UserError, match="Partial channels"):
        supernet_of(replace(SPACE, partial_channels=2))
    with pytest.raises(UserError, match="Entangled weights are those of convolutions"):
        supernet_of(replace(SPACE, entangled=True))
    with pytest.raises(UserError, match="Networks of the space 'tabular' read features"):
        build(genotype, classes=3)
    with pytest.raises(UserError, match="in image spaces only, not in 'tabular'"):
        count.candidates(SPACE, SIZE, 8)
    with pytest.raises(UserError, match="no cells of operations"):
        SPACE.backbone(None, SIZE, SPACE.network_norm, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [("widths", "1+5", "width"), ("norms", "batch+batch", "twice"), ("activations", "rel", "Did you mean")],
)
def test_candidates_that_are_none(setting, text, words):
    with pytest.raises(UserError, match=words):
        tabular.space(**{setting: text})
