"""Transformers as layers of decisions: the derived network is the supernet of its own mix, exactly; padding changes
nothing; a decoder sees no later token; counts; texts; refusals."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from dnas import find
from dnas.architectures import zoo
from dnas.architectures.genotype import as_mix, check, parse, random, to_text
from dnas.architectures.genotype_data import decisions
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.kernels import native
from dnas.nets.count import count, of_a_token
from dnas.nets.functional import functionalize
from dnas.reports import diagram
from dnas.spaces import transformer, vision_transformer
from dnas.types import Noise

SMALL = {"widths": "4+6", "depths": "1+2", "heads": "1+2", "ratios": "1+1.5"}
TEXTS = transformer.space(**SMALL, head=2, distance=2, dropout=0.3)
DIVIDED = transformer.space(**SMALL, head=0, distance=0, rescaled=True, dropout=0.0)
IMAGES = vision_transformer.space(size="tiny", **SMALL, head=3, distance=1, class_token="true", rescaled=True)
TEXT = NetworkSize(1, 1, 3, inputs=(5,), vocabulary=7)
MODEL = replace(TEXT, classes=7)
IMAGE = NetworkSize(1, 1, 3)
NOISE = Noise(jax.random.key(7))
slow = pytest.mark.slow
TOKENS = np.array([[1, 2, 3, 4, 5], [6, 5, 4, 0, 0], [0, 3, 3, 2, 1]], np.int32)
CASES = {  # space, size, input
    "texts": (TEXTS, TEXT, TOKENS),
    "decoder": (TEXTS, MODEL, TOKENS),
    "divided": (DIVIDED, TEXT, TOKENS),
    "images": (IMAGES, IMAGE, np.random.default_rng(0).normal(size=(2, 8, 8, 3))),
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def supernet_of(space, size):
    return functionalize(lambda rngs: space.supernet(space, size, rngs=rngs))


def network_of(genotype, space, size):
    return functionalize(lambda rngs: space.network(genotype, space, size, rngs=rngs))


def filled(network, seed=0):
    """Weights as no initialisation gives them: norms and biases do something, too."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(network.init, jax.random.key(0))[0])
    draw = np.random.default_rng(seed)
    return structure.unflatten([jnp.asarray(0.5 * draw.normal(size=leaf.shape)) for leaf in leaves])


def cut(wide, shapes):
    """The first entries of every array that the narrow network has too."""
    if isinstance(shapes, dict):
        return {name: cut(wide[name], part) for name, part in shapes.items()}
    return wide[tuple(slice(size) for size in shapes.shape)]


def genotype_of(space, **options):
    """width, depth, and a text of options of every decision, separated by blanks."""
    fields = ", ".join(f"{kind}=[{', '.join(options[kind].split())}]" for kind in space.cells)
    return parse(f"{space.name}({fields})")


NARROW = {"width": "4", "depth": "2", "heads": "1 2", "ratio": "1.5 1", "feed_forward": "gated relu"}
SHALLOW = {"width": "6", "depth": "1", "heads": "2 1", "ratio": "1 1", "feed_forward": "relu2 relu"}
WIDE = {"width": "6", "depth": "2", "heads": "2 1", "ratio": "1 1.5", "feed_forward": "relu2 gelu"}
CHOSEN = [
    NARROW | {"mixer": "attention both", "norm": "post pre"},
    SHALLOW | {"mixer": "convolution both", "norm": "pre post"},
    WIDE | {"mixer": "both attention", "norm": "pre post"},
]


def outputs(found):
    return found if isinstance(found, jax.Array) else found.logits


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_derived_network_equals_the_supernet_of_its_mix(name):
    space, size, x = CASES[name]
    supernet, more = supernet_of(space, size), {"noise": NOISE} if space.draws else {}
    weights = filled(supernet)
    mixed = jax.jit(lambda mix, weights: outputs(supernet.apply(weights, {}, x, mix, train=True, **more)[0]))
    for options in CHOSEN:
        genotype = genotype_of(space, **options)
        network = network_of(genotype, space, size)
        own = cut(weights, jax.eval_shape(network.init, jax.random.key(0))[0])
        ours = jax.jit(partial(network.apply, train=True))(own, {}, x, **more)[0].logits
        mix = {kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, space).items()}
        theirs = mixed(mix, weights)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11, err_msg=to_text(genotype))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["texts", "images"])
def test_every_option_makes_a_difference_and_every_weight_of_a_mix_counts(name):
    """The equality above would hold for a supernet that ignores its mix, or reads nothing but its strongest options."""
    space, size, x = CASES[name]
    supernet = supernet_of(space, size)
    weights = filled(supernet)
    uniform = {kind: np.full(shape, 1 / shape[1]) for kind, shape in space.mix_shapes.items()}
    run = jax.jit(lambda mix, weights: outputs(supernet.apply(weights, {}, x, mix, train=False)[0]))
    usual = run(uniform, weights)
    for kind, table in uniform.items():
        rows = [np.tile(row, (len(table), 1)) for row in np.eye(table.shape[1])]
        found = [run({**uniform, kind: row}, weights) for row in rows]
        for i, one in enumerate(found):
            assert all(np.abs(one - other).max() > 1e-4 for other in found[:i]), (kind, i)
        for place in np.ndindex(table.shape):
            moved = table.copy()
            moved[place] += 1e-3
            assert np.abs(run({**uniform, kind: moved}, weights) - usual).max() > 1e-7, (kind, place)


@pytest.fixture(scope="module")
def of_uniform_mix():
    """(size) -> tokens -> logits, of a supernet that computes everything."""
    known = {}

    def one(size):
        if size not in known:
            supernet = supernet_of(TEXTS, size)
            uniform = {kind: jnp.full(shape, 1 / shape[1]) for kind, shape in TEXTS.mix_shapes.items()}
            run = jax.jit(lambda weights, tokens: outputs(supernet.apply(weights, {}, tokens, uniform, train=False)[0]))
            known[size] = partial(run, filled(supernet))
        return known[size]

    return one


def test_padding_changes_nothing(of_uniform_mix):
    run, words = of_uniform_mix(TEXT), [3, 1, 4, 1, 5]
    rows = np.zeros((4, 9), np.int32)
    for row, place in zip(rows, (0, 2, 4), strict=False):
        row[place : place + 5] = words
    rows[3] = words + words[:4]
    found = run(rows)
    np.testing.assert_allclose(found[:3], np.tile(found[:1], (3, 1)), rtol=1e-12)
    assert np.abs(found[0] - found[3]).max() > 1e-3  # further words change something
    np.testing.assert_allclose(run(np.array([words], np.int32))[0], found[0], rtol=1e-12)
    assert np.isfinite(run(np.zeros((4, 9), np.int32))).all()  # rows that only fill up a batch


def test_a_decoder_sees_no_later_token(of_uniform_mix):
    run = of_uniform_mix(MODEL)
    before, after = (run(np.array([[3, 1, 4, one, 5, 2]], np.int32))[0] for one in (0, 6))
    assert before.shape == (6, 7)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert (np.abs(before[3:] - after[3:]).max(-1) > 1e-3).all()


def test_images_of_another_size_have_positions_in_between():
    network = network_of(random(IMAGES, 0), IMAGES, IMAGE)
    weights = jax.eval_shape(network.init, jax.random.key(0))[0]
    run = partial(network.apply, train=False)
    logits, _ = jax.eval_shape(run, weights, {}, jax.ShapeDtypeStruct((2, 16, 12, 3), float))
    assert logits.logits.shape == (2, 3)
    with pytest.raises(UserError, match="patches of 4x4 pixels, and these have 10x8"):
        jax.eval_shape(run, weights, {}, jax.ShapeDtypeStruct((2, 10, 8, 3), float))


def test_a_genotype_is_read_written_and_pictured():
    for space in (TEXTS, IMAGES):
        genotype = genotype_of(space, **CHOSEN[1])
        check(genotype, space)
        assert parse(to_text(genotype)) == genotype
        assert to_text(genotype).startswith(f"{space.name}(width=[6], depth=[1], heads=[2, 1], ratio=[1, 1], ")
        pictured = space.pictured(genotype)
        assert len(decisions(pictured)) == 1  # of two layers, one is used
        assert "relu2" in diagram.text(pictured) and "both" not in diagram.text(pictured)


def test_counts_are_those_of_the_formulas():
    options = {"width": "6", "depth": "1", "heads": "2 1", "ratio": "1.5 1", "feed_forward": "gated relu"}
    genotype = genotype_of(TEXTS, **options, mixer="both both", norm="pre pre")
    found = of_a_token(genotype, TEXTS, TEXT)
    e, i, f, k, t, d = 6, 4, 9, 3, 5, 2
    attention = e * 3 * i + 3 * i + i * e + e + 2 * (2 * 2 + 1) * d
    convolution = 2 * (e * e + e) + k * e
    forward = 2 * (e * f + f) + f * e + e
    assert found.parameters == 7 * e + attention + convolution + forward + 3 * 2 * e + e * 3 + 3
    products = t * (e * 3 * i + i * e + 2 * e * e + k * e + 3 * e * f) + 2 * (t * t * i + t * t * i)
    assert found.multiply_adds == products + e * 3


COUNTED = ("autoformer_tiny", "deit_tiny")  # the others take longer


@pytest.mark.parametrize("name", [n if n in COUNTED else pytest.param(n, marks=slow) for n in zoo.transformers()])
def test_published_networks_have_their_parameters(name):
    """DeiT's were published to the last one, AutoFormer's in tenths of a million, cut or rounded."""
    published = {
        "autoformer_tiny": 5_800_000,
        "autoformer_small": 22_900_000,
        "autoformer_base": 53_700_000,
        "deit_tiny": 5_717_416,
        "deit_small": 22_050_664,
        "deit_base": 86_567_656,
    }
    entry = zoo.entry(name)
    space = find.resolve("space", entry.space)
    found = count(entry.genotype, space, NetworkSize(1, 1, 1000), entry.pixels)
    assert (found.parameters, found.multiply_adds) == (entry.parameters, entry.multiply_adds)
    assert abs(found.parameters - published[name]) < (1 if name.startswith("deit") else 100_000)
    assert parse(to_text(entry.genotype)) == entry.genotype and parse(name.upper()) == entry.genotype
    if name.startswith("deit"):
        assert random(space, 0) == entry.genotype  # the only network of its space


def test_a_published_network_may_be_none_of_its_space():
    """AutoFormer-T has a ratio of 3, which its supernet has not, and can be built all the same."""
    genotype = zoo.entry("autoformer_tiny").genotype
    space = find.resolve("space", "vision_transformer:size=autoformer_t")
    assert "3" in {edge.operation for edge in genotype.cell("ratio").edges} - {*space.cells["ratio"].operations[0]}
    check(genotype, space)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_its_gradient_is_a_program_for_accelerators(dtype):
    with native.traced_for("cuda"), jax.enable_x64(False):
        supernet = supernet_of(TEXTS, TEXT)
        weights = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), jax.eval_shape(supernet.init, jax.random.key(0))[0]
        )
        mix = {kind: jax.ShapeDtypeStruct(shape, "float32") for kind, shape in TEXTS.mix_shapes.items()}

        def loss(weights, mix, tokens):
            return jnp.square(supernet.apply(weights, {}, tokens, mix, train=True, noise=NOISE)[0]).sum()

        step = jax.jit(jax.grad(loss, argnums=(0, 1)))
        tokens = jax.ShapeDtypeStruct(TOKENS.shape, jnp.int32)
        text = export.export(step, platforms=("cuda", "tpu"))(weights, mix, tokens).mlir_module()
    assert "dnas_" not in text
    assert ("xbf16>" in text) == (dtype == "bfloat16")


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("transformer:heads=2+1", "expected whole numbers from 1 to 256 in ascending order"),
        ("transformer:widths=64+96.5", "expected whole numbers from 1"),
        ("transformer:ratios=two", "expected numbers from 0.05 to 64"),
        ("transformer:mixers=atention", "Unknown mixer of space 'transformer': 'atention'. Did you mean attention"),
        ("transformer:norms=pre+pre", "The norm 'pre' stands twice"),
        ("transformer:kernel=2", "has no middle: choose an odd number"),
        ("transformer:head=0,heads=3,widths=64,distance=0", "3 heads of the space 'transformer' divide the width 64"),
        ("transformer:head=0,heads=1+2,widths=64", "1 or 2 heads divide one width"),
        ("transformer:reads=all", "Unknown setting reads of space 'transformer': 'all'"),
        ("transformer:size=huge", "Unknown size of space 'transformer': 'huge'"),
        ("vision_transformer:pool=class", "reads a class token: set class_token=true too"),
        ("vision_transformer:pool=max", "'pool' mean or class, not '' and 'max'"),
        ("vision_transformer:patch=5", "Images of 32 pixels are not cut into patches of 5"),
    ],
)
def test_what_there_is_no_space_of_is_refused(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("space", choice)


def test_what_there_is_no_network_of_is_refused():
    network = network_of(random(TEXTS, 0), TEXTS, TEXT)
    weights = filled(network)
    for x in (TOKENS[0], TOKENS.astype(float), TOKENS[:0]):
        with pytest.raises(UserError, match=r"reads tokens, whole numbers \[B, T\]"):
            network.apply(weights, {}, x, train=False)
    with pytest.raises(UserError, match="has no paths to drop"):
        network.apply(weights, {}, TOKENS, jnp.ones(3), train=False)
    with pytest.raises(UserError, match="draws noise"):
        network.apply(weights, {}, TOKENS, train=True)
    for reads, size, says in (
        ("decoder", TEXT, "as many outputs as tokens, to predict the next, and here are 7 tokens and 3 outputs"),
        ("encoder", MODEL, "outputs of other things, and here are 7 tokens and 7 outputs"),
        ("auto", replace(TEXT, vocabulary=1), "at least 2 different tokens"),
        ("auto", replace(TEXT, auxiliary=True), "one head"),
    ):
        space = transformer.space(**SMALL, reads=reads)
        with pytest.raises(UserError, match=says):
            supernet_of(space, size)
    with pytest.raises(UserError, match="Partial channels are for cells of images"):
        supernet_of(replace(TEXTS, partial_channels=2), TEXT)
    whole = to_text(genotype_of(TEXTS, **CHOSEN[0]))
    for old, new, says in (
        ("depth=[2]", "depth=[3]", "of 3 layers needs as many options"),
        ("heads=[1, 2]", "heads=[1, relu]", "The heads of a network of 'transformer' is a number above 0, not 'relu'"),
        ("[post, pre]", "[post, relu]", "Unknown norm of 'transformer': 'relu'"),
        ("depth=[2], ", "", "decides width and depth once"),
    ):
        with pytest.raises(UserError, match=says):
            network_of(parse(whole.replace(old, new)), TEXTS, TEXT)
