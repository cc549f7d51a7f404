"""RobustDARTS: stop when the validation loss becomes sharp in the alphas, or go back and regularise more.

    dominant eigenvalue of d2F/da2:   stop if average(epoch) / average(8 epochs before) > 1.3

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, arXiv:1909.09656.
Reference code: automl/RobustDARTS. Early stopping (DARTS-ES) returns the genotype of the epoch before the eigenvalue
grew; `adaptive` (DARTS-ADA) goes back to that epoch instead and goes on with `multiplier` times the weight decay, up to
`largest` times what it was. As in the code: second order, every second epoch, one validation batch, no stop that would
go back to an epoch before 10. Unlike there, the eigenvalues too are forgotten when it goes back.
"""

from dataclasses import replace
from typing import Annotated

from dnas.errors import UserError
from dnas.methods import darts
from dnas.ranges import LARGE, Count, Factor, Range, Whole, beside
from dnas.search import stops
from dnas.search.method import Method, Outcome, View

BACK = 6  # measurements to go back: see `stops.sharpened`


def method(
    *,
    order: str = "second",
    every: Count = 2,
    factor: Factor = 1.3,
    begin: Whole = 10,
    adaptive: bool = False,
    multiplier: Annotated[float, Range(1.01, LARGE), beside(adaptive=True)] = 10.0,
    largest: Annotated[float, Range(1.01, LARGE), beside(adaptive=True)] = 100.0,
) -> Method:
    """`order`: of the hypergradient, as in 'darts'. `every`: epochs between measurements. `factor`, `begin`: of the
    rule."""
    if adaptive and multiplier > largest:
        raise UserError(
            f"Method 'robust_darts' never goes back where multiplier, {multiplier:g}, is above largest, {largest:g}: "
            "choose a smaller multiplier or a larger largest."
        )

    def look(view: View) -> Outcome:
        if (view.epoch - 1) % every and view.epoch != view.epochs:
            return Outcome()
        value = stops.dominant_eigenvalue(view.hessian())
        values = [note["eigenvalue"] for note in view.notes if "eigenvalue" in note] + [value]
        back = None if view.epoch == view.epochs else stops.sharpened(values, every, factor, begin)
        notes = {"eigenvalue": value}
        if back is None:
            return Outcome(notes)
        if not adaptive:
            return Outcome(notes, stop=view.total - back)
        decay = view.knobs["decay_factor"] * multiplier
        if decay > largest * (1 + 1e-6):
            return Outcome(notes)
        return Outcome(notes, restart=view.total - back, knobs={"decay_factor": decay})

    return replace(
        darts.method(order=order),
        between_epochs=look,
        knobs={"decay_factor": 1.0} if adaptive else {},
        maximum_rollback=BACK * every if adaptive else 0,
    )
