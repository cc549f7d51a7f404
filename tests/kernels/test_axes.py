"""Shapes and types that do not fit are refused where they are traced: by layers in both forms, by every primitive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.errors import UserError
from dnas.kernels import mixing, norm, normed, pooling
from dnas.kernels.axes import agree, at_least, one_float_type
from dnas.kernels.conv import DENSE, DEPTHWISE, Settings, dense_conv, depthwise_conv
from dnas.nets import layers

SIZES = {"X": 2, "R": 3, "B": 2, "H": 6, "W": 5, "C": 4, "D": 7, "k": 3, "l": 3, "h": 6, "w": 5, "E": 2, "O": 2}
CONV = {"settings": Settings((1, 1), (1, 1), 1, (6, 5, 3, 3), 1)}
POOL, NORM, GATE = {"stride": 1}, {"epsilon": 1e-5}, {"activation": 1}
PRIMITIVES = {  # operands, settings, and the axes whose sizes follow from neither settings nor other operands
    "conv": (DENSE.forward, "XBHWC XRklCD", CONV, "BRD"),
    "conv to x": (DENSE.to_x, "XRBhwD XRklCD", CONV, "BC"),
    "conv to kernel": (DENSE.to_kernel, "XBHWC XRBhwD", CONV, "RCD"),
    "depthwise": (DEPTHWISE.forward, "XBHWC XRklC", CONV, "BR"),
    "depthwise to x": (DEPTHWISE.to_x, "XRBhwC XRklC", CONV, "B"),
    "depthwise to kernel": (DEPTHWISE.to_kernel, "XBHWC XRBhwC", CONV, "R"),
    "norm": (norm.normalise_p, "BHWC", NORM, "BHWC"),
    "whiten": (norm.whiten_p, "BHWC C BHWC", {}, ""),
    "moments": (norm.moments_p, "BHWC C BHWC", {}, ""),
    "bend": (norm.bend_p, "BHWC C BHWC BHWC C BHWC", {}, ""),
    "affine": (norm.affine_p, "BHWC C C", NORM | GATE, "BHW"),
    "push": (norm.push_p, "BHWC C C C C BHWC C C", GATE, ""),
    "pull": (norm.pull_p, "BHWC C C C C BHWC", GATE, ""),
    "pointwise": (normed.pointwise_p, "BHWC CD", {}, "BHWD"),
    "normed pointwise": (normed.normed_pointwise_p, "BHWC C C C C CD", GATE, "BHWD"),
    "normed pointwise to kernel": (normed.pointwise_to_kernel_p, "BHWC C C C C BHWD", GATE, "D"),
    "normed pointwise to x": (normed.pointwise_to_x_p, "BHWC C C C C BHWD CD", GATE, ""),
    "normed depthwise": (normed.normed_depthwise_p, "BHWC C C C C kkC", POOL | GATE | {"size": 3}, "BHW"),
    "normed depthwise to kernel": (normed.depthwise_to_kernel_p, "BHWC C C C C BhwC", POOL | GATE | {"size": 3}, ""),
    "normed depthwise to x": (normed.depthwise_to_x_p, "BHWC C C C C BhwC kkC", POOL | GATE, ""),
    "pick": (pooling.pick_p, "BHWC BHWC", POOL, ""),
    "scatter": (pooling.scatter_p, "BHWC BhwC", POOL, ""),
    "mean": (pooling.mean_p, "BHWC", {}, "BHWC"),
    "sums": (mixing.sums_p, "EO EBC EBC", {"shared": False}, ""),
    "shared sums": (mixing.sums_p, "EO BC BC", {"shared": True}, "E"),
    "to weights": (mixing.to_weights_p, "EBC EBC EBC", {"shared": False}, ""),
    "to shared weights": (mixing.to_weights_p, "EBC BC BC", {"shared": True}, "E"),
    "to values": (mixing.to_values_p, "EO EBC", {"shared": False}, "OBC"),
}


def shapes_of(axes):
    return [[SIZES[axis] for axis in letters] for letters in axes.split()]


def changed(axes, free):
    """The shapes with one axis of one array empty, too large or too many, and with one array that has none."""
    shapes = shapes_of(axes)
    for i, letters in enumerate(axes.split()):
        for at, axis in enumerate(letters):
            for size in (0,) if axis in free else (0, SIZES[axis] + 1):
                yield [*shapes[:i], [*shapes[i][:at], size, *shapes[i][at + 1 :]], *shapes[i + 1 :]]
        for other in ([],) if {*"BC"} <= {*free} and "R" not in axes else ([], [*shapes[i], 3]):
            yield [*shapes[:i], other, *shapes[i + 1 :]]


def traced(primitive, shapes, settings, dtypes=None):
    operands = [
        jax.ShapeDtypeStruct(tuple(shape), dtype)
        for shape, dtype in zip(shapes, dtypes or ["float32"] * len(shapes), strict=True)
    ]
    return jax.eval_shape(lambda *args: primitive.bind(*args, **settings), *operands)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives_refuse_what_does_not_fit(name):
    primitive, axes, settings, free = PRIMITIVES[name]
    shapes = shapes_of(axes)
    traced(primitive, shapes, settings)
    for wrong in changed(axes, free):
        with pytest.raises(UserError, match=r"takes .* got "):
            traced(primitive, wrong, settings)
    for i in range(len(shapes)):
        for other in ("int32", "uint8", "complex64", *(["float16"] if len(shapes) > 1 else [])):
            dtypes = ["float32"] * i + [other] + ["float32"] * (len(shapes) - i - 1)
            with pytest.raises(UserError, match=f"arrays of one type, .*{other}"):
                traced(primitive, shapes, settings, dtypes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": (0, 1)}, "stride of a convolution is 0"),
        ({"stride": (1,)}, "two strides"),
        ({"stride": (1.5, 1)}, "stride of a convolution is 1.5"),
        ({"padding": (-1, 1)}, "padding of a convolution is -1"),
        ({"dilation": 0}, "dilation of a convolution is 0"),
        ({"dilation": 5}, "gives nothing for images of 6x5 pixels"),
        ({"size": (6, 5, 0, 3)}, "size of a convolution is 0"),
    ],
    ids=str,
)
def test_settings_of_convolutions(change, message):
    settings = CONV["settings"]._replace(**change)
    with pytest.raises(UserError, match=message):
        traced(DENSE.forward, shapes_of("XBHWC XRklCD"), {"settings": settings})


@pytest.mark.parametrize(
    "change", [{"stride": (1, 2)}, {"padding": (0, 0)}, {"size": (6, 5, 3, 1)}, {"size": (6, 5, 2, 2)}], ids=str
)
def test_a_depthwise_kernel_is_odd_and_square_and_keeps_the_image(change):
    settings = CONV["settings"]._replace(**change)
    with pytest.raises(UserError, match="square kernel of odd size"):
        traced(DEPTHWISE.forward, [[2, 2, 6, 5, 4], [2, 3, *settings.size[2:], 4]], {"settings": settings})


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_epsilon(epsilon):
    with pytest.raises(UserError, match="epsilon"):
        traced(norm.normalise_p, [[2, 3, 3, 4]], {"epsilon": epsilon})


def unit(c):
    return layers.BatchNorm(c, affine=True, rngs=nnx.Rngs(0))


X, K = (2, 6, 5, 4), (3, 3, 4)
CALLS = {  # of functions and modules, with shapes that fit, and per argument others that do not
    "dense": (lambda x, k: dense_conv(x, k, (1, 1), (1, 1)), (X, (3, 3, 4, 7)), [(X[:3], (*X[:3], 1), (0, *X[1:]))]),
    "dense kernel": (dense_conv, (X, (3, 3, 4, 7)), [(), ((3, 3, 1, 7), (3, 4, 7))]),
    "depthwise": (depthwise_conv, (X, K), [((*X[:3], 1), X[1:]), ((3, 3, 1), (3, 5, 4), (2, 2, 4), (3, 3, 4, 1))]),
    "separable": (
        layers.separable_conv,
        (X, K, (4, 7)),
        [((*X[:3], 1),), ((3, 3, 1), (3, 1, 4)), ((1, 7), (4,))],
    ),
    "pointwise": (layers.pointwise_conv, (X, (4, 7)), [((*X[:3], 1),), ((1, 7), (4, 7, 1))]),
    "normalise": (norm.normalise, (X,), [(X[1:], (0, *X[1:]))]),
    "scaled": (norm.normalise, (X, (4,), (4,)), [((*X[:3], 1),), ((1,), (), (2, 4)), ((1,), (2, 4))]),
    "batch norm": (lambda x: unit(4)(x), (X,), [((*X[:3], 1), (*X[:3], 5), X[1:], (2, 0, 5, 4))]),
    "read batch norm": (lambda x: nnx.view(unit(4), use_running_average=True)(x), (X,), [((*X[:3], 1), X[1:])]),
    "max pool": (lambda x: pooling.max_pool_3x3(x, 1), (X,), [(X[1:], (0, *X[1:]), (2, 0, 5, 4))]),
    "avg pool": (lambda x: pooling.avg_pool_3x3(x, 1), (X,), [(X[1:], (0, *X[1:]), (2, 0, 5, 4))]),
    "small pool": (pooling.max_pool_2x2, (X,), [(X[1:], (2, 0, 5, 4))]),
    "mean": (pooling.global_avg_pool, (X,), [(X[1:], (2, 0, 5, 4))]),
    "sums": (
        lambda w, a, b: mixing.weighted_sums(w, (a, b), False)[0],
        ((3, 2), (3, 5), (3, 5)),
        [((3, 1), (1, 2), (3, 3), (2,)), ((1, 5), (3, 1)), ((2, 5),)],
    ),
    "shared sums": (
        lambda w, a, b: mixing.weighted_sums(w, (a, b), True)[0],
        ((3, 2), (5,), (5,)),
        [((3, 1), (3, 3), (6,)), ((1,),), ((5, 1), (6,))],
    ),
    "conv": (lambda x: layers.Conv(4, 7, 3, rngs=nnx.Rngs(0))(x), (X,), [((*X[:3], 1), (*X[:3], 5), X[1:])]),
    "1x1 conv": (
        lambda x: layers.Conv(4, 7, 1, stride=2, rngs=nnx.Rngs(0))(x),
        (X,),
        [((*X[:3], 1), (*X[:3], 5), X[1:], (2, *X))],
    ),
    "reduction": (
        lambda x: layers.FactorizedReduce(4, 6, rngs=nnx.Rngs(0))(x),
        (X,),
        [((*X[:3], 1), (*X[:3], 5), X[1:], (2, 0, 5, 4))],
    ),
    "linear": (lambda x: layers.Linear(4, 7, rngs=nnx.Rngs(0))(x), ((2, 4),), [((2, 1), (2, 5))]),
}


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", CALLS)
def test_layers_refuse_what_does_not_fit(name):
    function, fitting, wrong = CALLS[name]

    def call(shapes):
        return jax.eval_shape(function, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))

    call(fitting)
    for i, shapes in enumerate(wrong):
        for shape in shapes:
            with pytest.raises(UserError, match=r"takes .* got "):
                call((*fitting[:i], shape, *fitting[i + 1 :]))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    "name", ["max pool", "avg pool", "small pool", "mean", "batch norm", "read batch norm", "conv"]
)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_layers_refuse_whole_numbers(name, dtype):
    function, (shape, *_), _ = CALLS[name]
    with pytest.raises(UserError, match=f"takes arrays of one type, .*{dtype}"):
        jax.eval_shape(function, jax.ShapeDtypeStruct(shape, dtype))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("stride", [0, -1, 1.5])
@pytest.mark.parametrize("pool", [pooling.max_pool_3x3, pooling.avg_pool_3x3])
def test_strides_of_pools(pool, stride):
    with pytest.raises(UserError, match="stride of a pooling"):
        pool(jnp.ones(X), stride)


def test_the_sentence_says_which_size_differs_from_which():
    with pytest.raises(UserError) as error:
        agree("batch norm", "x BHWC, scale C", (2, 8, 8, 1), (3,))
    assert str(error.value) == (
        "A batch norm takes x [B, H, W, C] and scale [C], got x [2, 8, 8, 1] and scale [3]: "
        "C is 3 in scale, but 1 in x."
    )
    with pytest.raises(UserError, match=r"H is 8 in x, but 7 expected"):
        agree("pool", "x *HW", (2, 8, 8), H=7)
    with pytest.raises(UserError, match=r"takes x \[\.\.\., C\], got x \[\]: x has 0 axes"):
        agree("pool", "x *C", ())
    assert agree("sum", "a E*, b *", (2, 3, 4), (3, 4)) == {"E": 2, "*": (3, 4)}
    with pytest.raises(UserError, match=r"\* is \[3, 5\] in b, but \[3, 4\] in a"):
        agree("sum", "a E*, b *", (2, 3, 4), (3, 5))


def test_numbers_and_types():
    assert at_least("pool", "stride", np.int64(2), 1) == 2
    one_float_type("pool", *(jnp.zeros(1, t) for t in ("bfloat16", "bfloat16")))
    with pytest.raises(UserError, match="float16, bfloat16, float32 or float64, got float16 and float32"):
        one_float_type("pool", jnp.zeros(1, "float16"), jnp.zeros(1, "float32"))
