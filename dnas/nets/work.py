"""What programs do, read off them without running them: multiply-adds and activations, of jaxprs and of modules."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr

from dnas.kernels import native
from dnas.nets.functional import Deferred

# The three faces of a convolution (`kernels/conv.py`) cost the same; where each has what stands for its output.
OUTPUTS = {"forward": ("outvars", 0), "to_x": ("invars", 0), "to_kernel": ("invars", 1)}


class Cost(NamedTuple):
    """What a module costs for inputs of one shape, and the shape of its output."""

    parameters: int
    multiply_adds: int
    activations: int
    output: tuple[int, ...]


def traced(build: Callable[[nnx.Rngs], nnx.Module], call: Callable[..., Any], inputs: Any) -> Cost:
    """Trace `call(build(rngs), inputs)` in evaluation."""
    graphdef, state = nnx.split(nnx.view(build(deferred()), use_running_average=True, raise_if_not_found=False))

    def run(state, inputs):
        return call(nnx.merge(graphdef, state), inputs)

    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), nnx.as_pure(state))
    with native.traced_for("any"):
        jaxpr = jax.make_jaxpr(run)(abstract, inputs)
    return Cost(parameters_of(nnx.merge(graphdef, state)), *work(jaxpr.jaxpr), jaxpr.out_avals[0].shape)


def parameters_of(module: nnx.Module) -> int:
    """How many parameters a module has."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.as_pure(nnx.state(module, nnx.Param))))


def deferred() -> nnx.Rngs:
    """Of a module that is laid out and never drawn."""
    return Deferred(params=jax.random.key(0))


def multiply_adds(jaxpr: Any) -> int:
    """Multiply-adds of the convolutions, of their derivatives and of the matrix products of a jaxpr, those of its inner
    jaxprs included: the dearest branch, and one round of a loop that does not say how many it takes."""
    return work(jaxpr).multiply_adds


class Work(NamedTuple):
    """What the convolutions and matrix products of a program do, and how many numbers they give."""

    multiply_adds: int
    activations: int


def work(jaxpr: Any) -> Work:
    """As of `multiply_adds`; of the derivative of a convolution, the activations are those of the convolution."""
    total = np.zeros(2, object)  # of Python's numbers, which have no bound
    for equation in jaxpr.eqns:
        name, settings = equation.primitive.name, equation.params
        if (face := name.partition("_conv_")[2] or name.partition("_depthwise_")[2]) in OUTPUTS:
            among, place = OUTPUTS[face]
            output = getattr(equation, among)[place].aval
            total += math.prod(output.shape[:-1]) * settings["settings"].multiply_adds, output.size
        elif name == "dot_general":
            (axes, _), _ = settings["dimension_numbers"]
            contracted = math.prod(equation.invars[0].aval.shape[axis] for axis in axes)
            size = equation.outvars[0].aval.size
            total += size * contracted, size
        elif name == "cond":
            total += max(work(branch.jaxpr) for branch in settings["branches"])
        else:
            inner = [work(getattr(p, "jaxpr", p)) for p in settings.values() if _is_jaxpr(p)]
            rounds = settings["length"] if name == "scan" else 1
            total += np.array(inner, object).reshape(-1, 2).sum(0) * rounds
    return Work(*total.tolist())


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)
