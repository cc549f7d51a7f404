"""What a method asks of a supernet beside its steps, and how often: rows of a run say it, so that costs can count it.

evaluated   validation batches on which some mix was evaluated: between epochs, for a genotype, for a selection
calibrated  training batches on which norms were calibrated for a mix
scored      scores by the method's proxies
hessians    Hessians by the alphas
undone      epochs that a search went back before: computed, but their rows are gone
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from dnas.nets import work
from dnas.runs import devices
from dnas.search.method import View
from dnas.search.stage import Stage
from dnas.types import Mix, SearchState

KINDS = ("evaluated", "calibrated", "scored", "hessians", "undone")


class Asked:
    """The supernet of one seed, `i`, that answers and counts; what it answers, `method.View` says. state: of all
    seeds."""

    def __init__(self, stage: Stage, state: SearchState, i: int):
        self.stage, self.state, self.i = stage, state, i
        self.counts = Counter[str]()
        self._evaluate = stage.evaluator(state, i)

    @cached_property
    def one(self) -> SearchState:
        """The state of this seed."""
        return jax.tree.map(lambda leaf: leaf[self.i], self.state)

    def evaluate(
        self, mix: Mix, train: bool = False, batches: int | None = None, first: int = 0, calibrate: int = 0
    ) -> tuple[float, float]:
        whole = self.stage.batches
        self.counts["evaluated"] += whole if batches is None else min(batches, whole)
        if calibrating := self.stage.calibration_batches(calibrate):
            self.counts["calibrated"] += calibrating
        return self._evaluate(mix, train=train, batches=batches, first=first, calibrate=calibrate)

    def worth(self, *args: Any, **options: Any) -> float:
        """The score alone: what a discretiser and a selector take."""
        return self.evaluate(*args, **options)[0]

    def score(self, mix: Mix, number: int) -> dict[str, float]:
        self.counts["scored"] += 1
        return self._scores(mix, number)

    def hessian(self) -> np.ndarray:
        self.counts["hessians"] += 1
        return np.asarray(self.stage.hessian_one(self.one, self.stage.valid_batches))

    def view(self, phase: int, epochs: tuple[int, int], mix: Mix, notes: list[dict], fits: Callable[..., bool]) -> View:
        """What a between-epoch hook sees. epochs: done in the phase, and in all. fits: see `View.fits`."""
        stage, one = self.stage, self.one
        return View(
            space=stage.space,
            phase=phase,
            epoch=epochs[0],
            epochs=stage.plan.epochs,
            total=epochs[1],
            seed=stage.config.seed + self.i,
            alphas=devices.fetch(one.alphas),
            mix=mix,
            mask=devices.fetch(one.mask),
            knobs={name: float(value) for name, value in one.knobs.items()},
            notes=notes,
            evaluate=self.evaluate,
            hessian=self.hessian,
            score=self.score,
            fits=fits,
        )

    @cached_property
    def _scores(self) -> Any:
        return self.stage.scores(self.one)


def multiply_adds(stage: Stage, kind: str) -> int:
    """Of one question to the supernet of one seed, read off its program; float64 is as the search has it."""
    if kind == "scored":
        assert stage.scoring is not None
        return work.multiply_adds(stage.scoring.traced)
    state, (rows, constants) = _of_one(stage.shapes.state), stage.valid_batches
    if kind == "hessians":
        return work.multiply_adds(jax.make_jaxpr(stage.hessian_one)(state, stage.valid_batches).jaxpr)
    mix = _of_one(jax.eval_shape(stage.mixes.function, stage.shapes.state))
    if kind == "calibrated":
        once = partial(stage.calibrate_one, count=1)
        traced = jax.make_jaxpr(once)((state.weights, state.stats, mix), state.key, stage.arrays[0])
        return work.multiply_adds(traced.jaxpr)
    batch = jax.tree.map(lambda leaf: leaf[:1], rows), constants
    traced = jax.make_jaxpr(partial(stage.evaluate_one, train=True))((state.weights, state.stats, mix), batch)
    return work.multiply_adds(traced.jaxpr)


def _of_one(shapes: Any) -> Any:
    """The shapes of one seed, of those of all."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shapes)


def undone(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What was computed for epochs that a search goes back before, by their rows."""
    total = Counter[str]()
    for row in rows:
        total["undone"] += 1
        total.update({kind: row[kind] for kind in KINDS if kind in row})
    return total
