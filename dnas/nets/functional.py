"""The border between flax modules and pure functions, and many equal modules as one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class Functional(NamedTuple):
    """A network as two pure functions.

    init(key) -> (weights, stats)
    apply(weights, stats, *args, train) -> (output, moments): in training the network normalises by the batch and
    `moments` are those of the batch (`layers.absorb` folds them into stats); in evaluation it reads stats.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]


class Deferred(nnx.Rngs):
    """Rngs of a network that is being laid out: `layers.uniform_fan_in` leaves a hole instead of drawing."""


def functionalize(build: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """Turn `build(rngs) -> module` into pure functions. The module may hold nnx.Param and nnx.BatchStat only."""
    layout = build(Deferred(params=jax.random.key(0)))
    training = nnx.graphdef(layout)
    evaluating = nnx.graphdef(nnx.view(layout, use_running_average=True, raise_if_not_found=False))

    def init(key: jax.Array):
        others, uniform = jax.random.split(key)
        module = build(Deferred(params=others))
        weights, stats = nnx.state(module, nnx.Param), nnx.state(module, nnx.BatchStat)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (plain(fill(weights, uniform)), plain(stats)))

    def apply(weights, stats, *args, train: bool, **kwargs):
        module = nnx.merge(training if train else evaluating, nnx.State(weights), nnx.State(stats))
        output = module(*args, **kwargs)
        return output, plain(nnx.state(module, nnx.BatchStat))

    return Functional(init, apply)


def fill(weights: nnx.State, key: jax.Array) -> nnx.State:
    """Fill the holes: every parameter with a `bound` becomes uniform in +-bound, all cut from a single draw.

    One random operation compiles in 0.3 s; one for each of a supernet's parameters takes minutes.
    """
    flat = list(weights.flat_state())
    holes = {path: variable for path, variable in flat if variable.get_metadata().get("bound")}
    sizes = [variable.get_value().size for variable in holes.values()]
    pool = jax.random.uniform(key, (sum(sizes),), minval=-1.0)
    starts = np.cumsum([0, *sizes])
    for (path, variable), start, size in zip(holes.items(), starts, sizes, strict=False):
        values = jax.lax.slice_in_dim(pool, start, start + size).reshape(variable.get_value().shape)
        holes[path] = variable.replace(values * variable.get_metadata()["bound"])
    return nnx.State.from_flat_path({path: holes.get(path, variable) for path, variable in flat})


def plain(state: Any) -> Any:
    """An nnx state as nested dictionaries of arrays."""
    return nnx.to_pure_dict(state) if isinstance(state, nnx.State) else state


def stack(build: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """`count` copies of one module with their own weights, as one module whose variables have a leading axis."""
    graphs, states = zip(*(nnx.split(build(rngs)) for _ in range(count)), strict=True)

    def together(*leaves):
        return (np if isinstance(leaves[0], np.ndarray) else jnp).stack(leaves)

    return nnx.merge(graphs[0], jax.tree.map(together, *map(nnx.as_pure, states)))


def unstack(module: nnx.Module, index: int) -> nnx.Module:
    """One of the stacked copies. Its variables are its own: moments it writes are lost, see `over_copies`."""
    graphdef, state = nnx.split(module)
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[index], nnx.as_pure(state)))


def over_copies(
    module: nnx.Module, x: jax.Array, own: tuple = (), *, loop: bool = False, count: int | None = None
) -> jax.Array:
    """Apply all stacked copies to the same x -> [copies, ...]: vmap makes of them one wide operation.

    own: further arguments, of which every copy has its own (first axis). count: of copies that have no variables.
    """
    graphdef, state = nnx.split(module)

    def one(state, own):
        copy = nnx.merge(graphdef, state)
        return copy(x, *own), nnx.as_pure(nnx.state(copy, nnx.BatchStat))

    y, stats = (looped_map if loop else jax.vmap)(one, axis_size=count)(nnx.as_pure(state), own)
    nnx.update(module, stats)
    return y


def looped_map(function: Callable[..., Any], axis_size: int | None = None) -> Callable[..., Any]:
    """What vmap computes, as a Python loop: the slow twin that tests and operation counts use."""

    def mapped(*trees):
        count = axis_size or jax.tree.leaves(trees)[0].shape[0]
        rows = [function(*jax.tree.map(lambda leaf, i=i: leaf[i], trees)) for i in range(count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)

    return mapped


def looped_scan(body: Callable[..., Any], carry: Any, xs: Any) -> tuple[Any, Any]:
    """What `lax.scan` computes, as a Python loop."""
    ys = []
    for i in range(jax.tree.leaves(xs)[0].shape[0]):
        carry, y = body(carry, jax.tree.map(lambda leaf, i=i: leaf[i], xs))
        ys.append(y)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *ys)


def rematerialised(wanted: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a pure function: its inside is computed again in the backward pass, where that is wanted."""
    return jax.checkpoint if wanted else lambda function: function
