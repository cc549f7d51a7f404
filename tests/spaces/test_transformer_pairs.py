"""Encoder and decoder: the derived network is the supernet of its mix; what a target sees of its source and itself."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.genotype import as_mix, check, parse, random, to_text
from dnas.architectures.genotype_data import decisions
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import of_a_token
from dnas.nets.functional import functionalize
from dnas.spaces import transformer
from dnas.types import Noise

SPACE = transformer.space(
    reads="both", widths="4+6", depths="1+2", heads="1+2", ratios="1+1.5", head=2, distance=2, dropout=0.2
)
HAT = transformer.space(reads="both", size="hat_tiny", dropout=0.2)
SIZE = NetworkSize(1, 1, 5, inputs=(4,), vocabulary=7)
SOURCE = np.array([[1, 2, 3, 4], [6, 5, 0, 0]], np.int32)
TARGET = np.array([[1, 2, 4], [3, 4, 1]], np.int32)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def filled(network):
    leaves, structure = jax.tree.flatten(jax.eval_shape(network.init, jax.random.key(0))[0])
    draw = np.random.default_rng(0)
    return structure.unflatten([jnp.asarray(0.5 * draw.normal(size=leaf.shape)) for leaf in leaves])


def cut(wide, shapes):
    """The first entries of every array that the narrow network has too."""
    if isinstance(shapes, dict):
        return {name: cut(wide[name], part) for name, part in shapes.items()}
    return wide[tuple(slice(size) for size in shapes.shape)]


def supernet(space=SPACE):
    return functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))


def network_of(genotype, space=SPACE, size=SIZE):
    return functionalize(lambda rngs: space.network(genotype, space, size, rngs=rngs))


@pytest.mark.slow
@pytest.mark.parametrize("space", [SPACE, HAT], ids=["usual", "hat"])
def test_the_derived_network_equals_the_supernet_of_its_mix(space):
    whole, noise = supernet(space), Noise(jax.random.key(1))
    weights = filled(whole)
    mixed = jax.jit(lambda mix: whole.apply(weights, {}, (SOURCE, TARGET), mix, train=True, noise=noise)[0].logits)
    for seed in range(2):
        genotype = random(space, seed)
        assert parse(to_text(genotype)) == genotype
        network = network_of(genotype, space)
        own = cut(weights, jax.eval_shape(network.init, jax.random.key(0))[0])
        ours = jax.jit(partial(network.apply, train=True))(own, {}, (SOURCE, TARGET), noise=noise)[0].logits
        theirs = mixed({kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, space).items()})
        assert ours.shape == (2, 3, 5)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11, err_msg=to_text(genotype))


@pytest.mark.slow
@pytest.mark.parametrize("space", [SPACE, HAT], ids=["usual", "hat"])
def test_what_a_target_sees(space):
    whole = supernet(space)
    uniform = {kind: jnp.full(shape, 1 / shape[1]) for kind, shape in space.mix_shapes.items()}
    weights = filled(whole)
    run = jax.jit(lambda *pair: whole.apply(weights, {}, pair, uniform, train=False)[0].logits)
    sources = np.array([[1, 2, 0, 0], [0, 1, 2, 0], [1, 3, 0, 0], [1, 2, 0, 0]], np.int32)
    targets = np.array([[1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 3]], np.int32)
    found = run(sources, targets)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)  # padding of the source
    assert (np.abs(found[0] - found[2]).max(-1) > 1e-4).all()  # every token sees all of the source
    np.testing.assert_allclose(found[0, :2], found[3, :2], rtol=1e-12)
    assert np.abs(found[0, 2] - found[3, 2]).max() > 1e-4


def test_it_is_counted_pictured_and_refused():
    genotype = random(SPACE, 0)
    check(genotype, SPACE)
    pictured = dict(SPACE.pictured(genotype).cells)
    lengths = {kind: len(cell.edges) for kind, cell in pictured.items()}
    assert lengths["heads"] == int(pictured["depth"].edges[0].operation)
    assert lengths["decoder_norm"] == int(pictured["decoder_depth"].edges[0].operation)
    assert decisions(genotype) and SPACE.takes == "pairs"
    network = network_of(genotype)
    shapes = jax.eval_shape(network.init, jax.random.key(0))[0]
    counts = of_a_token(genotype, SPACE, SIZE)
    assert counts.parameters == sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert "classifier" not in shapes["body"]["encoder"] and counts.multiply_adds > 0
    run = partial(network.apply, filled(network), {}, train=False)
    for x, says in (
        (SOURCE, "reads pairs of tokens"),
        ((SOURCE, TARGET[:1]), "2 sources and 1 targets"),
        ((SOURCE, TARGET[0]), "whole numbers"),
    ):
        with pytest.raises(UserError, match=says):
            run(x)
    for wrong, space, says in (
        (random(transformer.space(size="tiny"), 0), SPACE, "an encoder and a decoder, and the genotype has not both"),
        (changed("depth=[3]", "depth=[2]"), HAT, "the last 3 layers of its encoder, which may have 2"),
        (changed("cross_heads=[1, 2]", "cross_heads=[1]"), HAT, "of 2 layers needs as many options for each decision"),
        (changed("decoder_memory", "decoder_memories"), HAT, "decides width and depth once"),
    ):
        with pytest.raises(UserError, match=says):
            network_of(wrong, space)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": "hat_tiny"}, "a size, hat_tiny, or settings .* and reads=auto: set reads=both"),
        ({"memories": "1+2", "reads": "decoder"}, "reads=decoder: set reads=both"),
        ({"memories": "1+2", "reads": "both"}, "the last 2 layers of its encoder, which may have 1"),
        ({"ratios": "1+2", "hidden": "8"}, "leave out ratios or hidden"),
        ({"size": "hat_tiny", "reads": "both", "cross_heads": "1+3"}, "3 heads .* divide the width 4, and cannot"),
        ({"size": "hat_tiny", "reads": "both", "decoder_widths": "8+6"}, "options of decoder_width .* ascending order"),
    ],
)
def test_what_there_is_no_space_of_is_refused(settings, says):
    with pytest.raises(UserError, match=says):
        transformer.space(**settings)


def test_a_network_of_hat_is_what_numpy_computes():
    """Of a source of two tokens behind which there is padding, and a decoder that looks at three layers and at one."""
    genotype = parse(HAT_NETWORK)
    check(genotype, HAT)
    network = network_of(genotype, HAT)
    weights = filled(network)
    found = jax.jit(partial(network.apply, train=False))(weights, {}, (SOURCE, TARGET))[0].logits[1]
    body = jax.tree.map(np.asarray, weights["body"])
    theirs = numpy_network(body["encoder"], body["decoder"], SOURCE[1, :2], TARGET[1])
    np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-9)


HAT_NETWORK = (
    "transformer(width=[8], depth=[3], heads=[1, 2, 2], hidden=[8, 12, 8], feed_forward=[relu, relu, relu], "
    "mixer=[attention, attention, attention], norm=[post, post, post], decoder_depth=[2], decoder_heads=[2, 1], "
    "decoder_hidden=[12, 8], decoder_feed_forward=[relu, relu], decoder_mixer=[attention, attention], "
    "decoder_norm=[post, post], decoder_width=[6], decoder_cross_heads=[1, 2], decoder_memory=[3, 1])"
)
HEADS, DECODER_HEADS, CROSS_HEADS, MEMORY = (1, 2, 2), (2, 1), (1, 2), (3, 1)


PUBLISHED = {  # name: widths of encoder and decoder, hidden values of their layers, millions of parameters
    "iwslt14deen_titanxp@45.6ms": (512, 512, [1024] * 6, [2048], 16.82),
    "iwslt14deen_titanxp@109.0ms": (512, 512, [1024] * 6, [1024, 1024, 2048], 23.13),
    "wmt14ende_raspberrypi@3.5s": (512, 512, [1024, 3072, 3072, 2048, 2048, 2048], [3072], 25.22),
    "wmt14ende_titanxp@146.7ms": (640, 640, [3072] * 6, [3072] * 3, 51.20),
    "wmt19ende_titanxp@55.7ms": (640, 512, [3072] * 6, [3072], 36.89),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_their_parameters(name):
    """As the table of their README has them: without embeddings and output."""
    width, target_width, hidden, target_hidden, millions = PUBLISHED[name]
    space = transformer.space(reads="both", size="hat_iwslt" if name.startswith("iwslt") else "hat_wmt")
    chosen = {"width": [width], "decoder_width": [target_width], "hidden": hidden, "decoder_hidden": target_hidden}
    chosen |= {"decoder_depth": [len(target_hidden)]}
    cells = {kind: chosen.get(kind, [names[0] for names in cell.operations]) for kind, cell in space.cells.items()}
    text = ", ".join(f"{kind}=[{', '.join(map(str, options))}]" for kind, options in cells.items())
    network = network_of(parse(f"transformer({text})"), space)
    shapes = jax.eval_shape(network.init, jax.random.key(0))[0]
    outside = 7 * width + 5 * target_width + 5
    found = sum(leaf.size for leaf in jax.tree.leaves(shapes)) - outside
    assert round(found / 1e6, 2) == millions


def changed(old, new):
    return parse(HAT_NETWORK.replace(old, new))


def numpy_network(encoder, decoder, source, target):
    """Logits [T, V] of the network above for one source [S] and target [T]."""
    x, seen = embedded(encoder, source), []
    for layer, heads in zip(encoder["layers"].values(), HEADS, strict=True):
        x = normed(layer["mixer_norm"], x + attended(layer["attention"], x, x, heads, True))
        x = normed(layer["feed_forward_norm"], x + forward(layer["feed_forward"], x))
        seen.insert(0, x)
    y, earlier = embedded(decoder, target), np.tri(len(target), dtype=bool)
    for layer, heads, cross, count in zip(decoder["layers"].values(), DECODER_HEADS, CROSS_HEADS, MEMORY, strict=True):
        y = normed(layer["mixer_norm"], y + attended(layer["attention"], y, y, heads, earlier))
        y = normed(layer["across_norm"], y + attended(layer["across"], y, np.concatenate(seen[:count]), cross, True))
        y = normed(layer["feed_forward_norm"], y + forward(layer["feed_forward"], y))
    return y @ decoder["front"]["embedding"].T + decoder["bias"]


def embedded(part, tokens):
    table = part["front"]["embedding"]
    at = np.arange(len(tokens))[:, None] * 10_000.0 ** (-np.arange(0, 8, 2) / 8)
    waves = np.stack([np.sin(at), np.cos(at)], -1).reshape(len(tokens), -1)
    return table[tokens] * np.sqrt(8) + waves[:, : table.shape[1]]


def attended(part, x, y, heads, shown):
    """x [T, C] looks at y [S, D], by heads that share 4 values."""
    kernels = [*part["qkv"].swapaxes(0, 1), *part["kv"].swapaxes(0, 1)] if "kv" in part else part["qkv"].swapaxes(0, 1)
    q, k, v = (
        (one @ kernel + bias).reshape(len(one), heads, -1)
        for one, kernel, bias in zip((x, y, y), kernels, part["bias"].reshape(3, 4), strict=True)
    )
    logits = np.where(shown, np.einsum("thd,shd->hts", q, k) / np.sqrt(4 / heads), -np.inf)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return dense(part["project"], np.einsum("hts,shd->thd", shares, v).reshape(len(x), 4))


def forward(part, x):
    return dense(part["leave"], np.maximum(dense(part["enter"], x), 0))


def dense(part, x):
    return x @ part["kernel"] + part["bias"]


def normed(part, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * part["scale"] + part["bias"]
