"""Proxies of a whole supernet (`dnas.proxies`): with its present weights, a mix, and an augmented training batch.

Matrices of images are in float64, the supernet stays as it is, as in the evaluator of proxies.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr

from dnas import keys
from dnas.architectures.topology import Space
from dnas.errors import UserError
from dnas.proxies.protocol import Costs, Proxy, Subject, check, of_new_weights, of_weights
from dnas.tasks.classification import Classification
from dnas.tasks.task import Task
from dnas.types import Batch, Mix, SearchState, Tree


class Scoring:
    """build: of the supernet, as `nets.functional.functionalize` takes it; thin: of a thin one. new: each number has
    weights of its own, drawn for it, instead of those of the state. state: of one seed, shapes suffice. size: of
    a batch. `traced`: the program of a call.

    Errors: `UserError` for supernets that proxies cannot score, and for proxies that cannot score a mix.
    """

    def __init__(
        self,
        build: Callable[..., Any],
        thin: Callable[..., Any],
        space: Space,
        task: Task,
        proxies: Mapping[str, Proxy],
        state: SearchState,
        arrays: Tree,
        size: int,
        new: bool,
    ):
        check(space)
        pure = task.pure
        if not isinstance(pure, Classification):
            raise UserError(f"Proxies score networks that classify, and the task is '{task.name}': choose another.")
        subject = Subject(build, lambda *mix: Costs(jnp.zeros(()), jnp.zeros(())), thin=thin)
        measure = of_new_weights(subject, proxies) if new else of_weights(subject, proxies)

        def draw(key: jax.Array, arrays: Tree, number: jax.Array) -> Batch:
            of_order, of_images = jax.random.split(keys.stream(key, "scored", number))
            batch = pure.batch(arrays, pure.order(of_order, arrays, size), jnp.int32(0), size, of_images)
            return batch._replace(inputs=batch.inputs.astype(float))  # proxies are no numbers in bfloat16

        def score(weights: Tree, stats: Tree, batch: Batch, key: jax.Array, mix: Mix) -> dict[str, jax.Array]:
            return measure(key, batch, mix) if new else measure(weights, stats, batch, key, mix)

        self.arrays, self.draw, self.score = arrays, jax.jit(draw), jax.jit(score)
        if blind := self.blind(space, state):
            names = ", ".join(f"'{name}'" for name in blind)
            raise UserError(f"By {names} a supernet scores the same whatever its mix: choose another proxy.")

    def blind(self, space: Space, state: SearchState) -> list[str]:
        """The proxies whose values are made of other things than the mix."""
        batch = jax.eval_shape(self.draw, state.key, self.arrays, jnp.int32(0))
        mix = {kind: jax.ShapeDtypeStruct(shape, jnp.result_type(float)) for kind, shape in space.mix_shapes.items()}
        with jax.enable_x64(True):
            args = state.weights, state.stats, batch, state.key, mix
            traced, like = jax.make_jaxpr(self.score, return_shape=True)(*args)
        self.traced, of_mix = traced.jaxpr, len(jax.tree.leaves(args)) - len(mix)

        def sees(name: str) -> bool:
            _, used = dce_jaxpr(traced.jaxpr, [other == name for other in sorted(like)])  # leaves are sorted
            return any(used[of_mix:])

        return [name for name in like if not sees(name)]

    def __call__(self, state: SearchState) -> Callable[[Mix, int], dict[str, float]]:
        """(mix, number) -> the values by name, on one random batch for every number; -inf for what is no number, as
        where nothing flows. state: of one seed."""

        def values(mix: Mix, number: int) -> dict[str, float]:
            batch = self.draw(state.key, self.arrays, np.int32(number))
            mix = jax.tree.map(lambda rows: jnp.asarray(rows, float), mix)
            with jax.enable_x64(True):
                key = keys.stream(state.key, "scores", number)
                found = jax.device_get(self.score(state.weights, state.stats, batch, key, mix))
            return {name: float(value) if np.isfinite(value) else -np.inf for name, value in found.items()}

        return values
