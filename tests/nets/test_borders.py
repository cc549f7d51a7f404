"""What networks take and what they leave: images, mixes and factors that do not fit are refused, in one sentence that
says what to do; a network in evaluation changes nothing, so that it may be a constant of `jax.jit`."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

from dnas.architectures.genotype import random
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.nets.functional import Deferred, functionalize, plain
from dnas.nets.network import Network, build
from dnas.nets.supernet import Supernet
from dnas.spaces import darts, nasbench201

SPACES = {"darts": darts.space(nodes=2), "nasbench201": nasbench201.space()}
SIZES = {"darts": NetworkSize(3, 4, 3), "nasbench201": NetworkSize(1, 4, 3)}


def images(*shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), dtype)


@cache
def built(space, channels=3, **settings):
    genotype = random(SPACES[space], 0)
    return build(genotype, classes=3, cells=SIZES[space].cells, channels=4, image_channels=channels, **settings)


@cache
def supernet(space):
    return Supernet(SPACES[space], SIZES[space], rngs=Deferred(params=jax.random.key(0)))


def uniform(space):
    return {kind: np.full(shape, 1 / shape[1], np.float32) for kind, shape in SPACES[space].mix_shapes.items()}


def training(network):
    return nnx.view(network, use_running_average=False)


def statistics(network):
    return flatten_dict(plain(nnx.state(network, nnx.BatchStat)))


TRANSPOSE, NORMALISE = r"x\.transpose\(0, 2, 3, 1\)", r"dnas\.data\.augment\.normalise"
WRONG = {
    (
        2,
        8,
        8,
        1,
    ): r"built for images \[B, H, W, 3\], got \[2, 8, 8, 1\]: give it images of 3 channels, or build it for 1",
    (2, 8, 8, 4): "images of 3 channels, or build it for 4",
    (2, 3, 32, 32): TRANSPOSE,
    (8, 8, 3): r"add the axis of the batch, x\[None\]",
    (8, 8): "images, rows, columns and channels",
    (2, 2, 8, 8, 3): "images, rows, columns and channels",
    (0, 8, 8, 3): "at least one image of at least one pixel",
    (2, 0, 8, 3): "at least one image of at least one pixel",
    (2, 8, 8, 0): "at least one image of at least one pixel",
}


@pytest.mark.parametrize("shape", WRONG, ids=str)
@pytest.mark.parametrize("space", SPACES)
def test_images_of_other_shapes_are_refused(space, shape):
    network, mix = built(space), uniform(space)
    for x in (jnp.zeros(shape), np.zeros(shape)):
        for call in (network, training(network), jax.jit(network), lambda x: supernet(space)(x, mix)):
            with pytest.raises(UserError, match=WRONG[shape]):
                call(x)


def test_grey_images_without_their_axis_are_refused():
    with pytest.raises(UserError, match=r"add the axis of the channels, x\[\.\.\., None\]"):
        built("darts", 1)(jnp.zeros((2, 8, 8)))
    with pytest.raises(UserError, match=r"add the axis of the batch, x\[None\]"):
        built("darts", 1)(jnp.zeros((8, 8, 1)))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool", "complex64", "float8_e4m3fn"])
def test_images_that_are_not_normalised_are_refused(dtype):
    x = jnp.ones((2, 8, 8, 3), dtype)
    for given in (x, np.asarray(x)):
        for call in (built("darts"), jax.jit(built("darts")), lambda x: supernet("darts")(x, uniform("darts"))):
            with pytest.raises(UserError, match=f"normalised images .*, got {dtype}: .*{NORMALISE}"):
                call(given)


@pytest.mark.parametrize("x", [[[1.0], [1.0, 2.0]], [[[[1.0] * 3] * 8] * 8, [[1.0] * 3] * 8]], ids=["rows", "images"])
def test_ragged_lists_are_no_images(x):
    for call in (built("darts"), training(built("darts")), lambda x: supernet("darts")(x, uniform("darts"))):
        with pytest.raises(UserError, match="images cannot be read as one array"):
            call(x)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("train", [False, True])
def test_images_of_half_precision_give_nearly_the_same(space, train):
    network = functionalize(lambda rngs: Network(random(SPACES[space], 0), SPACES[space], SIZES[space], rngs=rngs))
    state, x = jax.jit(network.init)(jax.random.key(0)), images(4, 8, 8, 3)
    apply = jax.jit(lambda x: network.apply(*state, x, train=train)[0].logits)
    for dtype, tolerance in (("bfloat16", 0.1), ("float16", 0.02)):
        np.testing.assert_allclose(apply(x.astype(dtype)), apply(x), rtol=tolerance, atol=tolerance)


def test_numpy_arrays_become_the_networks_type():
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    network = built("darts")
    evaluate = jax.jit(lambda: network(x).logits)
    with jax.enable_x64(True):
        logits = evaluate()
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, jax.jit(network)(jnp.asarray(x, jnp.float32)).logits, rtol=1e-6)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1)], ids=str)
def test_the_smallest_images_have_logits(space, stem, size):
    if (space, stem) == ("nasbench201", "imagenet"):
        pytest.skip("it has no such stem")
    network, x = built(space, stem=stem), 3 * images(3, *size, 3)
    for how in (network, training(network)):
        logits = jax.jit(lambda network, x: network(x).logits)(how, x)
        assert np.isfinite(logits).all() and np.ptp(logits, axis=0).max() > 1e-4


MIXES = {
    "not a dictionary": (lambda mix: mix["normal"], "a ndarray, expected a dictionary"),
    "a kind lacks": (lambda mix: {"normal": mix["normal"]}, "weights of normal, reduce"),
    "nothing": (lambda mix: {}, "The mix is of nothing"),
    "operations lack": (lambda mix: mix | {"normal": mix["normal"][:, 1:]}, r"\[5, 7\], expected \[5, 8\]"),
    "edges lack": (lambda mix: mix | {"reduce": mix["reduce"][1:]}, r"reduce cells is \[4, 8\], expected \[5, 8\]"),
    "one for all": (lambda mix: mix | {"reduce": np.float32(1)}, r"reduce cells is \[\]"),
    "ragged": (lambda mix: mix | {"normal": [[1.0], [1.0, 2.0]]}, "normal cells cannot be read as one array"),
    "text": (lambda mix: mix | {"normal": mix["normal"].astype(str)}, "normal cells is of type str.*real numbers"),
    "complex": (lambda mix: mix | {"normal": mix["normal"] * 1j}, "type complex64, expected real numbers"),
    "of seeds": (lambda mix: mix | {"normal": mix["normal"][None]}, r"normal cells is \[1, 5, 8\]"),
}


@pytest.mark.parametrize("name", MIXES)
def test_mixes_that_do_not_fit_are_refused(name):
    change, message = MIXES[name]
    with pytest.raises(UserError, match=message):
        supernet("darts")(images(2, 8, 8, 3), change(uniform("darts")))


def test_a_network_needs_the_kinds_of_cells_that_it_contains():
    """Of one cell that halves the image, in the mix, in the genotype and in the count."""
    space, size = SPACES["darts"], NetworkSize(1, 4, 3)
    mix = {"reduce": jnp.asarray(uniform("darts")["reduce"])}
    supernet = Supernet(space, size, rngs=Deferred(params=jax.random.key(0)))
    assert jax.eval_shape(nnx.view(supernet, use_running_average=True), images(2, 8, 8, 3), mix).shape == (2, 3)
    whole = random(space, 0)
    half = replace(whole, cells=tuple(cell for cell in whole.cells if cell[0] == "reduce"))
    assert jax.eval_shape(build(half, classes=3, cells=1, channels=4), images(2, 8, 8, 3)).logits.shape == (2, 3)
    assert count(half, space, size, 8) == count(whole, space, size, 8)
    for lacking in (
        lambda: build(half, classes=3, cells=3, channels=4),
        lambda: count(half, space, NetworkSize(3, 4, 3), 8),
    ):
        with pytest.raises(UserError, match="expected those of a network of 'darts' with 3 cells: normal, reduce"):
            lacking()


@pytest.mark.parametrize("shape", [(2, 4, 2), (4, 4, 2), (3, 3, 2), (3, 5, 2), (3, 4, 1), (3, 4)], ids=str)
def test_factors_that_do_not_fit_are_refused(shape):
    with pytest.raises(UserError, match=r"\[cells, E, B\]: \[3, 4, 2\]"):
        built("darts")(images(2, 8, 8, 3), jnp.ones(shape))


@pytest.mark.parametrize("of", [np.complex64, str, object], ids=str)
def test_factors_that_are_no_real_numbers_are_refused(of):
    with pytest.raises(UserError, match=r"drop-path is of type .*real numbers, \[cells, E, B\]: \[3, 4, 2\]"):
        built("darts")(images(2, 8, 8, 3), np.ones((3, 4, 2)).astype(of))
    with pytest.raises(UserError, match="drop-path cannot be read as one array"):
        built("darts")(images(2, 8, 8, 3), [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("of", [np.bool_, np.int32, np.float64, jnp.bfloat16, np.ndarray.tolist], ids=str)
def test_factors_of_any_real_numbers_are_taken(of):
    x, ones = images(2, 8, 8, 3), np.ones((3, 4, 2))
    factors = of(ones) if of is np.ndarray.tolist else ones.astype(of)
    assert jax.eval_shape(lambda x: built("darts")(x, factors), x).logits.dtype == jnp.float32


@pytest.mark.parametrize("name", ["classes", "cells", "channels", "image_channels"])
@pytest.mark.parametrize("number", [0, -1, 1.5])
def test_networks_of_nothing_are_refused(name, number):
    settings = {"classes": 3, "cells": 3, "channels": 4} | {name: number}
    with pytest.raises(UserError, match=f"'{name}' of a network .* not {number}"):
        build(random(SPACES["darts"], 0), **settings)


# Evaluation and training.


@pytest.mark.parametrize("space", SPACES)
def test_a_new_network_evaluates_everywhere_and_changes_nothing(space):
    network, x = built(space), images(2, 4, 4, 3)
    before, expected = statistics(network), network(x).logits
    logits = lambda x: network(x).logits  # noqa: E731
    np.testing.assert_allclose(jax.jit(logits)(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(logits))(x[None])[0], expected, rtol=1e-4, atol=1e-5)
    # by running statistics an image does not see the others
    seen = np.abs(jax.jit(jax.jacrev(logits))(x)).sum((1, 3, 4, 5))
    assert seen[0, 0] > 0 and seen[1, 1] > 0 and seen[0, 1] == seen[1, 0] == 0
    jax.tree.map(np.testing.assert_array_equal, before, statistics(network))


@pytest.mark.parametrize("space", SPACES)
def test_in_training_it_keeps_the_moments_of_the_batch(space):
    network, x = build(random(SPACES[space], 0), classes=3, cells=SIZES[space].cells, channels=4), images(4, 4, 4, 3)
    fresh = network(x).logits
    pure = functionalize(lambda rngs: Network(random(SPACES[space], 0), SPACES[space], SIZES[space], rngs=rngs))
    weights, stats = plain(nnx.state(network, nnx.Param)), plain(nnx.state(network, nnx.BatchStat))
    outputs, moments = pure.apply(weights, stats, x, train=True)
    logits = training(network)(x).logits  # without jax.jit
    np.testing.assert_allclose(logits, outputs.logits, rtol=1e-4, atol=1e-5)
    assert np.abs(logits - fresh).max() > 1e-3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), statistics(network), flatten_dict(moments)
    )
    assert np.abs(network(x).logits - fresh).max() > 1e-3  # evaluation reads them


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("transform", [jax.jit, jax.grad], ids=["jit", "grad"])
def test_what_cannot_train_says_so(space, transform):
    mix, whole = uniform(space), training(supernet(space))  # made outside
    for network in (training(built(space)), lambda x: whole(x, mix)):
        with pytest.raises(UserError, match=r"nnx\.view\(network, use_running_average=True\)"):
            transform(lambda x, network=network: jnp.sum(jax.tree.leaves(network(x))[0]))(images(2, 4, 4, 3))


@pytest.mark.parametrize("space", SPACES)
def test_a_supernet_in_evaluation_is_a_constant_of_jit_too(space):
    network, mix, x = nnx.view(supernet(space), use_running_average=True), uniform(space), images(2, 4, 4, 3)
    before = statistics(network)
    assert np.isfinite(jax.jit(network)(x, mix)).all()
    jax.tree.map(np.testing.assert_array_equal, before, statistics(network))
