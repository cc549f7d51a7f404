"""Weighted sums of what the operations of an edge give, and the sums of gradients that flow back.

XLA would copy a sum of products into everything that reads the node, forward and backward, where it is computed again.
So the sums are native kernels on the CPU and matrix products elsewhere: both are computed once.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from dnas.kernels import native
from dnas.kernels.axes import agree, shape_of

Values = tuple[jax.Array, ...]


def weighted_sums(weights: jax.Array, values: Values, shared: bool) -> list[jax.Array]:
    """For each edge the sum over operations o of weights[edge, o] * values[o].

    weights [edges, O]; each of the O values is [edges, ...] or, the same on all edges, [...] (`shared`).
    """
    _sums_shape(weights.shape, *(value.shape for value in values), shared=shared)
    weights = weights.astype(values[0].dtype)
    if native.supports(weights, *values):
        total = sums_p.bind(weights, *values, shared=shared)[0]
    else:
        total = _by_product(shared, weights, values)
    return [jax.lax.index_in_dim(total, e, keepdims=False) for e in range(len(weights))]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def fan_out(x: jax.Array, count: int) -> Values:
    """x for `count` readers, whose gradients are added here."""
    return (x,) * count


def _fan_out_backward(count, _, gradients):
    return (weighted_sums(jnp.ones((1, count)), tuple(gradients), True)[0],)


fan_out.defvjp(lambda x, count: ((x,) * count, None), _fan_out_backward)


def _by_product(shared: bool, weights: jax.Array, values: Values) -> jax.Array:
    stacked = jnp.stack(values, 0 if shared else 1)  # [O, ...] or [edges, O, ...]
    shape = len(weights), *stacked.shape[1 if shared else 2 :]
    if shared:
        return (weights @ stacked.reshape(len(values), -1)).reshape(shape)
    flat = stacked.reshape(*weights.shape, -1)
    return jax.lax.dot_general(weights, flat, (((1,), (1,)), ((0,), (0,)))).reshape(shape)


# By native kernels. <g, sums> is linear in g, in the weights and in the values: three faces, each the transpose of the
# others, as in conv.py.


SUM = "weighted sum"


def _sums_shape(weights, *values, shared):
    sizes = agree(SUM, "weights EO" + _values(values, shared), weights, *values, O=len(values))
    return (shape_of("E*", sizes),)


def _weights_shape(g, *values, shared):
    return (shape_of("EO", agree(SUM, "sums E*" + _values(values, shared), g, *values, O=len(values))),)


def _value_shapes(weights, g, shared):
    sizes = agree(SUM, "weights EO, sums E*", weights, g)
    return (shape_of("*" if shared else "E*", sizes),) * sizes["O"]


def _values(values, shared):
    return (", value *" if shared else ", value E*") * len(values)


sums_p = native.kernel("mix_forward", _sums_shape, batched=False)  # (weights, *values) -> sums
to_weights_p = native.kernel("mix_to_weights", _weights_shape, batched=False)  # (g, *values) -> weights
to_values_p = native.kernel("mix_to_values", _value_shapes, batched=False)  # (weights, g) -> values


def _multilinear(face, transposed_first, transposed_rest):
    """Derivatives of a face (first, *rest) that is linear in `first` and in all of `rest` together."""

    def derivative(primals, tangents, shared):
        tangents = [ad.instantiate_zeros(t) for t in tangents]
        of_first = face.bind(tangents[0], *primals[1:], shared=shared)
        of_rest = face.bind(primals[0], *tangents[1:], shared=shared)
        return face.bind(*primals, shared=shared), [jnp.add(a, b) for a, b in zip(of_first, of_rest, strict=True)]

    def transpose(cts, first, *rest, shared):
        cts = [ad.instantiate_zeros(ct) for ct in cts]
        if ad.is_undefined_primal(first):
            return [*transposed_first(cts, rest, shared), *[None] * len(rest)]
        return [None, *transposed_rest(cts, first, shared)]

    ad.primitive_jvps[face] = derivative
    ad.primitive_transposes[face] = transpose


_multilinear(
    sums_p,
    lambda g, values, shared: to_weights_p.bind(*g, *values, shared=shared),
    lambda g, weights, shared: to_values_p.bind(weights, *g, shared=shared),
)
_multilinear(
    to_weights_p,
    lambda weights, values, shared: sums_p.bind(*weights, *values, shared=shared),
    lambda weights, g, shared: to_values_p.bind(*weights, g, shared=shared),
)
_multilinear(
    to_values_p,
    lambda values, g, shared: to_weights_p.bind(*g, *values, shared=shared),
    lambda values, weights, shared: sums_p.bind(weights, *values, shared=shared),
)
