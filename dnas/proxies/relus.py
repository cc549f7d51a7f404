"""What the ReLUs of a network see, wherever they are: the traced network is walked through, equation by equation.

A ReLU is a maximum of something and 0. Scans, branches and calls that hold one are rebuilt around it; everything else
is left as it was traced. Images are the first axis of what a ReLU gets, in a whole supernet with `watched.Blocked`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from dnas.errors import UserError
from dnas.kernels.norm import ACTIVATIONS, affine_p

LINEAR, RELU = ([*ACTIVATIONS].index(name) for name in ("linear", "relu"))
Rule = Callable[[jax.Array], jax.Array]
CALLS = {"jit": "jaxpr", "remat2": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}


def summed(function: Callable[..., Any], rule: Rule, zero: jax.Array) -> Callable[..., tuple[Any, jax.Array]]:
    """A function that returns what `function` does, and `zero` plus the sum of `rule(x)` over what its ReLUs get.

    Errors: `UserError` where there is no ReLU.
    """

    def run(*args: Any) -> tuple[Any, jax.Array]:
        traced, like = jax.make_jaxpr(function, return_shape=True)(*args)
        if not _holds(traced.jaxpr):
            raise UserError("This network has no ReLU, and the proxy counts what its ReLUs do: choose another proxy.")
        outputs, total = _walk(traced, jax.tree.leaves(args), zero, rule)
        return jax.tree.unflatten(jax.tree.structure(like), outputs), total

    return run


def _walk(closed: ClosedJaxpr, args: Sequence[Any], total: jax.Array, rule: Rule) -> tuple[list[Any], jax.Array]:
    jaxpr = closed.jaxpr
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else known[variable]

    for equation in jaxpr.eqns:
        values, name = [read(v) for v in equation.invars], equation.primitive.name
        if _is_relu(equation):
            total = total + rule(_reached(equation, values))
        if not any(_holds(inner) for inner in _inside(equation)):
            outputs = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        elif name == "scan":
            outputs, total = _scan(equation.params, values, total, rule)
        elif name == "cond":
            outputs, total = _cond(equation.params, values, total, rule)
        elif name in CALLS:
            outputs, total = _walk(_closed(equation.params[CALLS[name]]), values, total, rule)
        else:
            raise UserError(f"This network has a ReLU inside of '{name}', where no proxy sees it: unroll that loop.")
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars], total


def _scan(params: dict[str, Any], values: list[Any], total: jax.Array, rule: Rule) -> tuple[list[Any], jax.Array]:
    first, carried = params["num_consts"], params["num_carry"]
    constants, start, rows = values[:first], values[first : first + carried], values[first + carried :]

    def body(carry: Any, row: Any) -> Any:
        state, total = carry
        outputs, total = _walk(params["jaxpr"], [*constants, *state, *row], total, rule)
        return (outputs[:carried], total), outputs[carried:]

    (end, total), stacked = jax.lax.scan(
        body, (start, total), rows, params["length"], reverse=params["reverse"], unroll=params["unroll"]
    )
    return [*end, *stacked], total


def _cond(params: dict[str, Any], values: list[Any], total: jax.Array, rule: Rule) -> tuple[list[Any], jax.Array]:
    def branch(closed: ClosedJaxpr) -> Callable[..., Any]:
        return lambda total, *args: _walk(closed, args, total, rule)

    return jax.lax.switch(values[0], [branch(closed) for closed in params["branches"]], total, *values[1:])


def _reached(equation: Any, values: list[Any]) -> jax.Array:
    """What the ReLU of an equation gets; that of a norm with one inside is computed without it."""
    if equation.primitive is affine_p:
        return affine_p.bind(*values, **{**equation.params, "activation": LINEAR})[0]
    return values[0]


def _is_relu(equation: Any) -> bool:
    if equation.primitive is affine_p:
        return equation.params["activation"] == RELU
    if equation.primitive.name != "max" or not isinstance(equation.invars[1], Literal):
        return False
    return equation.invars[1].val == 0


def _inside(equation: Any) -> list[Jaxpr]:
    settings = [s for value in equation.params.values() for s in (value if isinstance(value, tuple) else (value,))]
    return [s.jaxpr if isinstance(s, ClosedJaxpr) else s for s in settings if isinstance(s, (Jaxpr, ClosedJaxpr))]


def _holds(jaxpr: Jaxpr) -> bool:
    """Whether there is a ReLU in it."""
    return any(_is_relu(equation) or any(map(_holds, _inside(equation))) for equation in jaxpr.eqns)


def _closed(jaxpr: Any) -> ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())
