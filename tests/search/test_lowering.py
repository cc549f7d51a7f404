"""A step of every method is a program for accelerators, too: made here without one, and without our CPU kernels."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest
from jax import export

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, SearchConfig
from dnas.kernels import native
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.tasks.classification import Classification
from dnas.types import Batch

SPACE = find.resolve("space", "nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1")
MOBILE = find.resolve("space", "fbnet:size=tiny")  # groups, depthwise convolutions, norms with a ReLU inside
ATTENTION = find.resolve("space", "vision_transformer:size=tiny,depths=1")
EVERYTHING = find.resolve("space", "darts:nodes=2")  # has pools, separable and dilated convolutions
KEPT = {  # by default more operations than an edge has here, or more epochs
    "drnas": "drnas:keep=2",
    "p_darts": "p_darts:keep=2+1",
    "sgas": "sgas:begin=0,every=1",
}
METHODS = [KEPT.get(name, name) for name in find.available("method")]
CHOICES = [*METHODS, "darts:order=second", "darts:order=finite_difference", "idarts:solver=cg"]
CONFIG = SearchConfig(epochs=3, batch_size=4, alphas=AlphaConfig(learning_rate=0.1))
ACCELERATORS = ("cuda", "tpu")
SECOND = pytest.param("second", marks=pytest.mark.slow)


def lowered(choice, platforms, dtype, space=SPACE, cells=1, seeds=2):
    """The text of a step of `seeds` searches, for platforms that this machine does not have."""
    method = find.resolve("method", choice)
    config = dataclasses.replace(CONFIG, cells=cells)
    with native.traced_for(platforms[0]):
        supernet = method.phases(space, config)[0].supernet(method.supernet(space))
        size = NetworkSize(cells, 2 * supernet.partial_channels, 3)
        search = make_search(
            functionalize(lambda rngs: (supernet.supernet or Supernet)(supernet, size, rngs=rngs)),
            space,
            method,
            config,
            3,
            task=Classification(),
        )
        batch = Batch(jax.ShapeDtypeStruct((seeds, 4, 8, 8, 3), dtype), jax.ShapeDtypeStruct((seeds, 4), jnp.int32))
        state = jax.eval_shape(jax.vmap(search.init), jax.random.split(jax.random.key(0), seeds))
        step = jax.jit(jax.vmap(search.step), donate_argnums=0)
        return export.export(step, platforms=platforms)(state, Levels(batch, batch)).mlir_module()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("order", ["first", SECOND])
def test_all_operations_of_darts(order, dtype):
    text = lowered(f"darts:order={order}", ACCELERATORS, dtype, EVERYTHING, cells=3, seeds=1)
    assert "dnas_" not in text
    assert ("xbf16>" in text) == (dtype == "bfloat16")
    assert not products_of_strided_slices(text)  # on which XLA for GPUs aborts


@pytest.mark.slow
@pytest.mark.parametrize("space", [MOBILE, ATTENTION], ids=["inverted residuals", "transformer"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_layers(dtype, space):
    assert "dnas_" not in lowered("darts", ACCELERATORS, dtype, space, seeds=1)


def products_of_strided_slices(text):
    """The matrix products, one operand of which is every other pixel of something, whatever its axes are called."""
    found = []
    for function in text.split("func.func")[1:]:
        strided = set(re.findall(r"(%\w+) = stablehlo\.slice %\w+ \[[^\]]*\d:\d+:\d", function))
        for name, operation, operands in re.findall(r"(%\w+) = stablehlo\.(\w+) ([^:\[]*)", function):
            if strided & set(re.findall(r"%\w+", operands)):
                if operation in ("reshape", "transpose", "convert", "broadcast_in_dim"):
                    strided.add(name)
                if operation == "dot_general":
                    found.append(name)
    return found


@pytest.mark.slow
def test_on_this_machine_the_kernels_are_there():
    if not native.available():
        pytest.skip("no C++ compiler: no kernels")
    with pytest.raises(ValueError, match="dnas_conv_forward"):  # what jax.export calls unsafe to keep for ever
        lowered("darts", ("cpu",), "float32", EVERYTHING, cells=3, seeds=1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("choice", CHOICES)
def test_every_method(choice, dtype):
    assert "dnas_" not in lowered(choice, ACCELERATORS, dtype)
