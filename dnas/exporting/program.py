"""A trained network as one program of raw inputs: preprocessing, network, softmax. Axis letters: B batch.

StableHLO by `jax.export`, with a symbolic batch, for CPUs and GPUs and TPUs: of XLA's operations only, without the
kernels of this library.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from dnas.errors import UserError
from dnas.exporting.inputs import Inputs
from dnas.exporting.quantised import restored
from dnas.kernels import native
from dnas.loading import Found
from dnas.loading.translations import searched
from dnas.nets import work
from dnas.nets.functional import forward
from dnas.tasks.task import Reading, Writing
from dnas.types import Tree

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
TOLERANCE = 1e-4  # of what is exported, against `predict`


def function_of(found: Found, inputs: Inputs, weights: Tree) -> Callable[..., Any]:
    """Arguments as `inputs.arrays`, [B, ...] each -> what `found.predict` gives of them, float32. weights: instead of
    its own, some of them `Int8`, say. To be traced inside `tracing`."""
    if isinstance(found.task, Reading):
        return _next_of(found, weights)
    if isinstance(found.task, Writing):
        return _translations_of(found, weights)
    logits_of, is_wide = found.pure_logits, found.config.dtype == "float64"

    def answers(*arrays: jax.Array) -> jax.Array:
        x = inputs.read(*arrays)
        with jax.enable_x64(is_wide):
            logits = logits_of(restored(weights, jnp.asarray), found.stats, found.args, *found.task.as_row(x))
        if found.classes:
            return jax.nn.softmax(logits.astype(jnp.float32))
        return found.task.answers(logits).astype(jnp.float32)

    return answers


def _next_of(found: Found, weights: Tree) -> Callable[..., tuple[jax.Array, ...]]:
    """(tokens [B, T], how many of each are its text's [B], states [B, ...] before them) -> the probabilities of what
    follows [B, V], and the states after all T."""
    functional, is_wide, first = found.functional, found.config.dtype == "float64", found.functional.carry
    structure = None if first is None else jax.tree.structure(jax.eval_shape(lambda: first(1)))

    def answers(tokens: jax.Array, counts: jax.Array, *states: jax.Array) -> tuple[jax.Array, ...]:
        carry = () if structure is None else jax.tree.unflatten(structure, states)
        with jax.enable_x64(is_wide):
            outputs, _, carry = forward(
                functional, restored(weights, jnp.asarray), found.stats, tokens, *found.args, carry=carry, train=False
            )
        last = jnp.take_along_axis(outputs.logits, counts[:, None, None] - 1, 1)[:, 0]
        return jax.nn.softmax(last.astype(jnp.float32)), *jax.tree.leaves(carry)

    return answers


def _translations_of(found: Found, weights: Tree) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """tokens [B, S] -> tokens of their translations, found by beam search [B, T], and the scores of these [B]."""

    def answers(source: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.enable_x64(found.config.dtype == "float64"):
            network = replace(found, weights=restored(weights, jnp.asarray)).network
            best = searched(network, found.args, found.task, source)
        return best.tokens, best.scores.astype(jnp.float32)

    return answers


def tracing(found: Found, inputs: Inputs) -> Any:
    """A context for tracing: in which floats are as wide as arguments or weights are."""
    return jax.enable_x64(inputs.wide or found.config.dtype == "float64")


def exported(found: Found, inputs: Inputs, weights: Tree) -> export.Exported:
    """The program for any batch of at least one."""
    (batch,) = export.symbolic_shape("b")
    with tracing(found, inputs), native.traced_for("any"), _without_places():
        shapes = [jax.ShapeDtypeStruct((batch, *one.shape), one.dtype) for one in inputs.arrays.values()]
        return export.export(jax.jit(function_of(found, inputs, weights)), platforms=PLATFORMS)(*shapes)


@contextmanager
def _without_places() -> Iterator[None]:
    """Inside, programs do not say in which files of this machine their operations are written."""
    before = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)


def multiply_adds(found: Found, inputs: Inputs) -> int:
    """Of one example, preprocessing among them; 0 of translations, which have as many as they have words."""
    if isinstance(found.task, Writing):
        return 0
    with tracing(found, inputs), native.traced_for("any"):
        shapes = [jax.ShapeDtypeStruct((1, *one.shape), one.dtype) for one in inputs.arrays.values()]
        return work.multiply_adds(jax.make_jaxpr(function_of(found, inputs, found.weights))(*shapes).jaxpr)


def checked(found: Found, inputs: Inputs, run: Callable[..., Any], weights: Tree) -> float:
    """The largest difference of what was exported to `found.predict`, on examples; of large numbers, relative to them.
    run: what was exported, read again. Errors: `UserError` where it is too large for rounding."""
    (given, x), ours = inputs.examples, replace(found, weights=restored(weights))
    with tracing(found, inputs):
        said = run(*given)
    if isinstance(found.task, Writing):
        got, wanted = np.asarray(said[1]), np.array([one.score for one in ours.translated(x)])
    else:
        got, wanted = np.asarray(said[0] if isinstance(found.task, Reading) else said), ours.answers(x)
    difference = float((np.abs(got - wanted) / np.maximum(np.abs(wanted), 1)).max())
    if not difference <= TOLERANCE:  # `not`: catches NaN
        raise UserError(
            f"What was exported of {found.folder} differs by {difference:g} from dnas predict on random inputs, and "
            "was not kept: please report it, and export another format."
        )
    return difference
