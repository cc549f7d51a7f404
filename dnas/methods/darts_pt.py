"""DARTS-PT: the genotype by what the supernet loses without an operation, instead of by the alphas.

    operation of an edge = argmin_o accuracy of the supernet without o

Wang, Cheng, Chen, Tang and Hsieh, "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021,
arXiv:2108.04392. Reference code: ruocwang/darts-pt. As in the code: edges in random order, both cells at once, 5 epochs
of tuning between decisions with a tenth of the learning rate while the alphas go on training, then two inputs of every
node; norms by the batch; `none` is a candidate. Unlike there, momentum carries over into the tuning. Schedules of the
method that it is `on` stand at their end while tuning.
"""

from dataclasses import replace

from dnas import find
from dnas.config import SearchConfig, WeightConfig
from dnas.errors import UserError, unknown
from dnas.ranges import Count
from dnas.search import projection, relax
from dnas.search.method import Method, Outcome, Phase, View, adapted
from dnas.training.weights import rate_of

CRITERIA = {"accuracy": lambda seen: -seen[0], "loss": lambda seen: seen[1]}


def method(*, on: str = "darts", blank: bool = False, interval: Count = 5, criterion: str = "accuracy") -> Method:
    """`on`: the method whose supernet it is. `blank`: leave its alphas as they begin. `interval`: epochs of tuning
    between two decisions. `criterion`: "accuracy" or "loss"."""
    if criterion not in CRITERIA:
        raise unknown("criterion of method 'darts_pt':", criterion, CRITERIA)
    return _around(find.resolve("method", on), on, blank, interval, criterion)


def _tuning(config: SearchConfig) -> WeightConfig:
    """From a tenth of the learning rate to where the search's schedule ends, by a cosine."""
    steps = 1000  # of an epoch: the end does not depend on it
    ended = float(rate_of(config.weights, config.epochs, steps)(config.epochs * steps))
    peak = config.weights.learning_rate / 10
    schedule = f"cosine:end={min(peak, float(f'{ended:.6g}'))}"  # as it was written, before it was a float of jax
    return replace(config.weights, learning_rate=peak, schedule=schedule, warmup_epochs=0, warmup_start=0.0)


def _around(base: Method, on: str, blank: bool, interval: int, criterion: str) -> Method:
    if base.between_epochs is not None or base.masks:
        raise UserError(f"Method 'darts_pt' selects after one whole search, and '{on}' prunes or stops on its own.")
    if base.members > 1:
        raise UserError(f"Method 'darts_pt' takes operations from one supernet, and '{on}' has {base.members}.")

    def phases(space, config: SearchConfig) -> tuple[Phase, ...]:
        search = base.phases(space, config)
        if len(search) > 1 or base.supernet(space).paths != "all":
            raise UserError(f"Method 'darts_pt' needs one supernet that computes all paths, which '{on}' has not.")
        epochs = interval * (max(map(len, projection.projections(space, 0).values())) - 1) + 1
        alphas = replace(config.alphas, warmup_epochs=0)
        tuning = replace(config, epochs=epochs, weights=_tuning(config), alphas=alphas)
        return (*search, replace(search[0], config=tuning, freeze_schedules=True))

    def look(view: View) -> Outcome:
        decision = view.epoch // interval if view.phase else 0
        is_due = view.epoch % interval == 0 if view.phase else view.epoch == view.epochs
        mask, decided = view.mask, {}
        for kind, plan in projection.projections(view.space, view.seed).items():
            if is_due and decision < len(plan):

                def damage(mix):
                    return CRITERIA[criterion](view.evaluate(mix, train=True))

                mix = relax.masked(view.mix, mask)
                mask = projection.project(mix, mask, kind, view.space.cells[kind], plan[decision], damage, view.fits)
                decided[kind] = list(plan[decision])
        return Outcome({"decided": decided}, mask=mask if decided else None)

    def adapt(method, space, config):
        return _around(adapted(base, space, config), on, blank, interval, criterion)

    return replace(
        base,
        hypergrad=None if blank else base.hypergrad,
        penalty=None if blank else base.penalty,
        phases=phases,
        between_epochs=look,
        masks=True,
        prunes_within=True,
        select=projection.remaining,
        adapt=adapt if base.adapt else None,
    )
