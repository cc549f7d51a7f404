"""The border between flax modules and pure functions, and many equal modules as one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors, nnx

from dnas.errors import UserError
from dnas.kernels import native
from dnas.types import Noise


class Functional(NamedTuple):
    """A network as two pure functions.

    init(key) -> (weights, stats)
    apply(weights, stats, *args, train) -> (output, moments): in training the network normalises by the batch and
    `moments` are those of the batch (`layers.absorb` folds them into stats); in evaluation it reads stats.
    carry(batch size) -> the recurrent state before the first batch; then apply takes `carry` and its output is
    (output, carry). None: the network has no such state.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]
    carry: Callable[[int], Any] | None = None


def forward(
    network: Functional,
    weights: Any,
    stats: Any,
    *args: Any,
    carry: Any = (),
    last: Any = None,
    train: bool,
    **settings: Any,
) -> tuple[Any, Any, Any]:
    """(output, moments, recurrent state after) of a network with or without such a state; carry: the one before; last:
    after which time step the state is wanted, by default the last."""
    if network.carry is None:
        return *network.apply(weights, stats, *args, train=train, **settings), ()
    (output, carry), moments = network.apply(weights, stats, *args, carry=carry, train=train, **settings)
    return output, moments, carry if last is None else output.states[:, last]


def ensemble(network: Functional, count: int) -> Functional:
    """`count` networks with weights of their own as one; trees have a leading axis of members.

    With a mix [members, E, O] each takes its own and the output is [members, ...]; with one mix [E, O] for all the
    output is the mean over them, that of an ensemble.
    """
    if count == 1:
        return network

    def init(key: jax.Array):
        return jax.vmap(network.init)(jax.random.split(key, count))

    def apply(weights, stats, x, mix, *, train: bool, **kwargs):
        def one(row):
            weights, stats, own_mix = row
            return network.apply(weights, stats, x, own_mix if own else mix, train=train, **kwargs)

        own = all(leaf.ndim == 3 for leaf in jax.tree.leaves(mix))
        rows = weights, stats, mix if own else None
        if native.platform_of_programs() == "cpu":  # there vmap is slower than a loop, which keeps one's values
            output, moments = jax.lax.map(jax.checkpoint(one), rows)
        else:
            output, moments = jax.vmap(one)(rows)
        return output if own else jax.tree.map(lambda leaf: leaf.mean(0), output), moments

    return Functional(init, apply)


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

    return Functional(init, apply, getattr(layout, "initial_carry", None))


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


def run(module: Any, *args: Any, evaluates: bool) -> Any:
    """Call a module; in evaluation a copy of it, since scans write the statistics that they only read.

    So in evaluation a module may be a constant of `jax.jit`. Errors: `UserError` where in training it is one.
    """
    if evaluates:
        graphdef, state = nnx.split(module)
        return nnx.merge(graphdef, nnx.as_pure(state))(*args)
    try:
        return module(*args)
    except errors.TraceContextError:
        raise UserError(
            "In training a network keeps the moments of its batch, which it cannot inside of jax.jit or jax.grad if it "
            "comes from outside: evaluate it, nnx.view(network, use_running_average=True), or train the pure functions "
            "of dnas.nets.functional.functionalize."
        ) from None


def takes_noise(module: Any) -> bool:
    """Whether a module takes `types.Noise` beside x."""
    return "noise" in inspect.signature(type(module).__call__).parameters


def own_noise(noise: Noise, numbers: Sequence[int]) -> Noise:
    """Noise for each of these numbers (of cells, of edges), stacked."""
    if not isinstance(noise, Noise):
        raise UserError(f"The noise of a network is dnas.types.Noise(key), not of type {type(noise).__name__}.")
    keys = jax.vmap(lambda number: jax.random.fold_in(noise.key, number))(np.array(numbers))
    return Noise(keys, jnp.full(len(numbers), noise.rate))


def plain(state: Any) -> Any:
    """An nnx state as nested dictionaries of arrays."""
    return nnx.to_pure_dict(state) if isinstance(state, nnx.State) else state


def stack(build: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """`count` copies of one module with their own weights, as one module whose variables have a leading axis."""
    graphs, states = zip(*(nnx.split(build(rngs)) for _ in range(count)), strict=True)

    def together(*leaves):
        return (np.stack if isinstance(leaves[0], np.ndarray) else jnp.stack)(leaves)

    return nnx.merge(graphs[0], jax.tree.map(together, *map(nnx.as_pure, states)))


def unstack(module: nnx.Module, index: int) -> nnx.Module:
    """One of the stacked copies. Its variables are its own: moments it writes are lost, see `over_copies`."""
    graphdef, state = nnx.split(module)
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[index], nnx.as_pure(state)))


def over_copies(module: nnx.Module, count: int, x: jax.Array, own: tuple = (), *, loop: bool = False) -> jax.Array:
    """Apply all `count` stacked copies to the same x -> [count, ...]: vmap makes of them one wide operation.

    own: further arguments, of which every copy has its own (first axis).
    """
    graphdef, state = nnx.split(module)

    def one(state, own):
        copy = nnx.merge(graphdef, state)
        return copy(x, *own), nnx.as_pure(nnx.state(copy, nnx.BatchStat))

    mapped = looped_map if loop else jax.vmap
    y, stats = mapped(one, axis_size=count)(nnx.as_pure(state), own)  # copies without variables have no axis to count
    nnx.update(module, stats)
    return y


def looped_map(function: Callable[..., Any], axis_size: int) -> Callable[..., Any]:
    """What vmap computes, as a Python loop: the slow twin that tests and operation counts use."""

    def mapped(*trees):
        rows = [function(*jax.tree.map(lambda leaf, i=i: leaf[i], trees)) for i in range(axis_size)]
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
