"""What runs of a searcher have tried, and what of it they would return: rows, numbers and curves.

The incumbent of a run is the best by score of what it has evaluated so far, the first of equals; of several objectives
the first counts; what was evaluated with a larger fidelity stands above the rest. Axis letters: R runs, T evaluations,
D decisions, M objectives, G points of a budget.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.choices import decode
from dnas.architectures.genotype import to_text
from dnas.blackbox.config import UNITS, Budget
from dnas.blackbox.jobs import Job
from dnas.reports import front, tables

POINTS = 200  # of a curve
QUARTILES = (25, 75)
SPREAD = ("mean", "std", "median", "least", "most")
ROUNDING = 1e-6  # of sums of fidelities


class Trials(NamedTuple):
    """architectures: [R, T, D]. scores: [R, T, M], more is better; minus infinity where an evaluation failed, or where
    a run had fewer than T. spent: float64 [R, T], seconds up to and with each evaluation.

    counts: [R], how many evaluations of each run count. share: [R], how much of the last one does: less than 1 where it
    went beyond the budget and is interpolated.
    fidelities: [R, T]. failed: by run and evaluation, why there is no score.
    """

    architectures: np.ndarray
    scores: np.ndarray
    spent: np.ndarray
    counts: np.ndarray
    share: np.ndarray
    fidelities: np.ndarray
    failed: Mapping[tuple[int, int], str] = {}

    def used(self, budget: Budget) -> np.ndarray:
        """What of a budget is used up after each evaluation, float64 [R, T]."""
        return self.spent if budget.unit != UNITS[0] else self.fidelities.astype(np.float64).cumsum(1)


def counted(
    architectures: np.ndarray,
    scores: np.ndarray,
    seconds: np.ndarray,
    budget: Budget,
    past_budget: str,
    fidelities: np.ndarray | None = None,
    failed: Mapping[tuple[int, int], str] | None = None,
) -> Trials:
    """Of all evaluations of a loop, those that a budget pays for; seconds: [R, T], of each, infinite where a run had
    fewer than T."""
    spent = seconds.astype(np.float64).cumsum(1)
    runs, evaluations = spent.shape
    levels = np.ones(spent.shape) if fidelities is None else fidelities
    done = architectures, scores, spent
    if budget.unit == UNITS[0]:
        return Trials(*done, np.isfinite(spent).sum(1), np.ones(runs), levels, failed or {})
    within = (spent <= budget.amount).sum(1)
    if past_budget == "dropped":
        return Trials(*done, within, np.ones(runs), levels, failed or {})
    each = np.arange(runs)
    before, after = spent[each, within - 1], spent[each, within]
    return Trials(*done, within + 1, (budget.amount - before) / (after - before), levels, failed or {})


def incumbents(trials: Trials) -> np.ndarray:
    """Which evaluation is the best so far, at each [R, T]."""
    values = trials.scores[..., 0]
    levels = np.unique(trials.fidelities)
    if len(levels) > 1:
        _, order = np.unique(values, return_inverse=True)
        order = order.reshape(values.shape) + np.searchsorted(levels, trials.fidelities) * (values.size + 1)
        values = np.where(np.isfinite(values), order, -1)
    best = np.maximum.accumulate(values, 1)
    new = np.concatenate([np.ones((len(best), 1), bool), best[:, 1:] > best[:, :-1]], 1)
    return np.maximum.accumulate(np.where(new, np.arange(best.shape[1]), 0), 1)


def last(trials: Trials) -> np.ndarray:
    """Which evaluation each run would return [R]."""
    return incumbents(trials)[np.arange(len(trials.counts)), trials.counts - 1]


def found(trials: Trials, truth: np.ndarray) -> np.ndarray:
    """What each run returns [R], of a truth about every evaluation [R, T]."""
    each, best = np.arange(len(truth)), incumbents(trials)
    latest = truth[each, best[each, trials.counts - 1]]
    before = truth[each, best[each, np.maximum(trials.counts - 2, 0)]]
    return before + trials.share * (latest - before)


def cells_found(trials: Trials) -> np.ndarray:
    """The architecture that each run returns [R, D]."""
    return trials.architectures[np.arange(len(trials.counts)), last(trials)]


def summary(trials: Trials, job: Job) -> dict[str, Any]:
    """What the runs found, ready for JSON: mean, standard deviation, median and ends of every truth, of the rank among
    all architectures, and of what was spent; of several objectives the volume below the front, see `volumes`."""
    each, evaluator = np.arange(len(trials.counts)), job.evaluator
    cells = cells_found(trials)
    truths = evaluator.truth(trials.architectures)
    objectives = trials.scores[each, last(trials)].astype(np.float64) * job.signs
    several = {} if len(job.objectives) == 1 else _of_fronts(trials, job)
    return {
        "runs": len(each),
        "evaluations": _spread(trials.counts),
        "seconds": _spread(trials.spent[each, trials.counts - 1]),
        "objectives": {name: _spread(values) for name, values in zip(job.objectives, objectives.T, strict=True)},
        **several,
        "truths": {name: _spread(found(trials, values)) for name, values in truths.items()},
        "rank": None if evaluator.rank is None else _spread(evaluator.rank(cells)),
        "distinct": len(np.unique(cells, axis=0)),
        "most_frequent": to_text(decode(_most_frequent(cells), evaluator.space)),
    }


def best_of_all(trials: Trials) -> np.ndarray:
    """The architecture with the best score that counts, int [D]."""
    each = np.arange(len(trials.counts))
    scores, levels = (values[each, last(trials)] for values in (trials.scores[..., 0], trials.fidelities))
    levels = np.where(np.isfinite(scores), levels, 0)
    top = (levels == levels.max()) & (scores == scores[levels == levels.max()].max())
    return cells_found(trials)[int(np.argmax(top))]


def volumes(trials: Trials, job: Job) -> np.ndarray:
    """The volume below the front of whole evaluations so far [R, T]: 1 is a point with the best of every objective,
    0 one with the worst of any. Best and worst are those that the evaluator knows, else those that were seen."""
    points = trials.scores.astype(np.float64)
    whole = np.isfinite(points).all(-1) & (trials.fidelities == 1)
    seen = points[whole] if whole.any() else np.zeros((1, points.shape[-1]))
    for m, (name, sign) in enumerate(zip(job.objectives, job.signs, strict=True)):
        bounds = sign * np.array(job.evaluator.bounds.get(name, sign * np.array([seen[:, m].min(), seen[:, m].max()])))
        points[..., m] = (points[..., m] - bounds.min()) / (np.ptp(bounds) or 1.0)
    points[~whole] = 0
    return np.stack([front.growing(run) for run in points])


def fronts(trials: Trials) -> list[np.ndarray]:
    """Of each run, which of its whole evaluations nothing else beats."""
    found = []
    for scores, levels, count in zip(trials.scores, trials.fidelities, trials.counts, strict=True):
        whole = np.flatnonzero(np.isfinite(scores[:count]).all(-1) & (levels[:count] == 1))
        found.append(whole[front.nondominated(scores[whole])])
    return found


def front_of_all(trials: Trials, job: Job) -> tuple[list[tuple[list[int], list[float]]], np.ndarray]:
    """The front of all runs together, architectures with their objectives as measured, the best by the first one first;
    and the objectives of all whole evaluations that count [N, M]."""
    whole = np.isfinite(trials.scores).all(-1) & (trials.fidelities == 1)
    whole &= np.arange(whole.shape[1]) < trials.counts[:, None]
    cells, scores = trials.architectures[whole], trials.scores[whole]
    kept = np.flatnonzero(front.nondominated(scores))
    kept = kept[np.argsort(-scores[kept, 0], kind="stable")]
    return list(zip(cells[kept].tolist(), (scores[kept] * job.signs).tolist(), strict=True)), scores * job.signs


def curve(trials: Trials, job: Job) -> np.ndarray:
    """The first truth about the incumbents against the budget, columns budget, mean, quartiles [G, 4]; where there is
    no truth, the objective; of several objectives, the volume below the front.

    It begins where all runs have an incumbent.
    """
    budget, used = job.budget, trials.used(job.budget)
    if len(job.objectives) > 1:
        values = volumes(trials, job)
    else:
        score = {"": trials.scores[..., 0].astype(np.float64) * job.signs[0]}
        truth = next(iter((job.evaluator.truth(trials.architectures) or score).values()))
        values = np.take_along_axis(truth, incumbents(trials), 1)
    first = np.isfinite(trials.scores[..., 0]).argmax(1)
    begins = used[np.arange(len(used)), first].max()
    if budget.unit == UNITS[0] and (trials.fidelities == 1).all():
        points = np.unique(np.geomspace(1, budget.amount, POINTS).astype(int))
        points = points[points >= begins]
    else:
        points = np.linspace(begins, budget.amount, POINTS)
    places = [np.searchsorted(row, points + ROUNDING, side="right") - 1 for row in used]
    latest = np.minimum(np.array(places), (trials.counts - (trials.share < 1))[:, None] - 1)
    at_points = np.take_along_axis(values, latest, 1)
    return np.stack([points, at_points.mean(0), *np.percentile(at_points, QUARTILES, axis=0)], 1)


def table(trials: Trials, job: Job) -> str:
    """CSV: run, evaluation (from 1), seconds spent, architecture (`dnas.architectures.choices`, as 3-0-1), score, or
    each of several objectives, and the truths about it, which no searcher has seen. Where there were cheaper
    evaluations, a column `fidelity`; where some failed, `failed`, the reason."""
    truths = job.evaluator.truth(trials.architectures)
    names = job.objectives if len(job.objectives) > 1 else ["score"]
    signs = job.signs if len(job.objectives) > 1 else np.ones(1)
    levels = {"fidelity": trials.fidelities} if (trials.fidelities != 1).any() else {}
    failed, rows = ["failed"] * bool(trials.failed), list[list[str]]()
    header = ["run", "evaluation", "seconds", "architecture", *levels, *names, *truths, *failed]
    for run, count in enumerate(trials.counts.tolist()):
        scores = (trials.scores[run] * signs).T
        columns = [trials.spent[run], *(v[run] for v in levels.values()), *scores, *(v[run] for v in truths.values())]
        spent, *numbers = (column[:count].tolist() for column in columns)
        written = ["-".join(map(str, row)) for row in trials.architectures[run, :count].tolist()]
        for t, row in enumerate(zip(spent, written, *numbers, strict=True)):
            reason = [trials.failed.get((run, t), "")] * bool(failed)
            shown = [f"{number:.7g}" if np.isfinite(number) else "" for number in row[2:]]
            rows.append([str(run), str(t + 1), f"{row[0]:.2f}", row[1], *shown, *reason])
    return tables.as_csv(header, rows)


def _of_fronts(trials: Trials, job: Job) -> dict[str, Any]:
    each = np.arange(len(trials.counts))
    return {
        "hypervolume": _spread(volumes(trials, job)[each, trials.counts - 1]),
        "front": _spread(np.array([len(points) for points in fronts(trials)])),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    """Standard deviation of the runs as they are, as papers have it."""
    found = values.mean(), values.std(), np.median(values), values.min(), values.max()
    return dict(zip(SPREAD, map(float, found), strict=True))


def _most_frequent(cells: np.ndarray) -> np.ndarray:
    distinct, counts = np.unique(cells, axis=0, return_counts=True)
    return distinct[int(np.argmax(counts))]
