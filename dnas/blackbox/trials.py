"""What runs of a searcher have tried, and what of it they would return: rows, numbers and curves.

The incumbent of a run is the best by score of what it has evaluated so far, the first of equals. Axis letters: R runs,
T evaluations, D decisions, G points of a budget.
"""

from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.encoding import decode
from dnas.architectures.genotype import to_text
from dnas.blackbox.config import UNITS, Budget
from dnas.evaluators.protocol import Evaluator

POINTS = 200  # of a curve
QUARTILES = (25, 75)
SPREAD = ("mean", "std", "median", "least", "most")


class Trials(NamedTuple):
    """architectures: [R, T, D]. scores: [R, T]. spent: float64 [R, T], seconds up to and with each evaluation.

    counts: [R], how many evaluations of each run count. share: [R], how much of the last one does: less than 1 where it
    went beyond the budget and is interpolated.
    """

    architectures: np.ndarray
    scores: np.ndarray
    spent: np.ndarray
    counts: np.ndarray
    share: np.ndarray


def counted(
    architectures: np.ndarray, scores: np.ndarray, seconds: np.ndarray, budget: Budget, past_budget: str
) -> Trials:
    """Of all evaluations of a loop, those that a budget pays for; seconds: [R, T], of each."""
    spent = seconds.astype(np.float64).cumsum(1)
    runs, evaluations = spent.shape
    if budget.unit == UNITS[0]:
        return Trials(architectures, scores, spent, np.full(runs, evaluations), np.ones(runs))
    within = (spent <= budget.amount).sum(1)
    if past_budget == "dropped":
        return Trials(architectures, scores, spent, within, np.ones(runs))
    each = np.arange(runs)
    before, after = spent[each, within - 1], spent[each, within]
    return Trials(architectures, scores, spent, within + 1, (budget.amount - before) / (after - before))


def incumbents(trials: Trials) -> np.ndarray:
    """Which evaluation is the best so far, at each [R, T]."""
    best = np.maximum.accumulate(trials.scores, 1)
    new = np.concatenate([np.ones((len(best), 1), bool), best[:, 1:] > best[:, :-1]], 1)
    return np.maximum.accumulate(np.where(new, np.arange(best.shape[1]), 0), 1)


def found(trials: Trials, truth: np.ndarray) -> np.ndarray:
    """What each run returns [R], of a truth about every evaluation [R, T]."""
    each, best = np.arange(len(truth)), incumbents(trials)
    last = truth[each, best[each, trials.counts - 1]]
    before = truth[each, best[each, np.maximum(trials.counts - 2, 0)]]
    return before + trials.share * (last - before)


def summary(trials: Trials, evaluator: Evaluator) -> dict[str, Any]:
    """What the runs found, ready for JSON: mean, standard deviation, median and ends of every truth, of the rank among
    all architectures, and of what was spent."""
    each = np.arange(len(trials.counts))
    last = incumbents(trials)[each, trials.counts - 1]
    cells = trials.architectures[each, last]
    truths = evaluator.truth(trials.architectures)
    return {
        "runs": len(each),
        "evaluations": _spread(trials.counts),
        "seconds": _spread(trials.spent[each, trials.counts - 1]),
        "truths": {name: _spread(found(trials, values)) for name, values in truths.items()},
        "rank": _spread(evaluator.rank(cells)),
        "distinct": len(np.unique(cells, axis=0)),
        "most_frequent": to_text(decode(_most_frequent(cells), evaluator.space)),
    }


def best_of_all(trials: Trials) -> np.ndarray:
    """The architecture with the best score that counts, int [D]."""
    each = np.arange(len(trials.counts))
    last = incumbents(trials)[each, trials.counts - 1]
    run = int(np.argmax(trials.scores[each, last]))
    return trials.architectures[run, last[run]]


def curve(trials: Trials, evaluator: Evaluator, budget: Budget) -> np.ndarray:
    """The first truth about the incumbents against the budget: columns budget, mean, quartiles [G, 4].

    It begins where all runs have an incumbent.
    """
    truth = next(iter(evaluator.truth(trials.architectures).values()))
    values = np.take_along_axis(truth, incumbents(trials), 1)
    if budget.unit == UNITS[0]:
        points = np.unique(np.geomspace(1, values.shape[1], POINTS).astype(int))
        at_points = values[:, points - 1]
    else:
        points = np.linspace(trials.spent[:, 0].max(), budget.amount, POINTS)
        places = [np.searchsorted(row, points, side="right") - 1 for row in trials.spent]
        at_points = np.take_along_axis(values, np.array(places), 1)
    return np.stack([points, at_points.mean(0), *np.percentile(at_points, QUARTILES, axis=0)], 1)


def table(trials: Trials, evaluator: Evaluator) -> str:
    """CSV: run, evaluation (from 1), seconds spent, architecture (`dnas.architectures.encoding`, as 3-0-1), score, and
    the truths about it, which no searcher has seen."""
    truths = evaluator.truth(trials.architectures)
    lines = [",".join(["run", "evaluation", "seconds", "architecture", "score", *truths])]
    for run, count in enumerate(trials.counts.tolist()):
        columns = [trials.spent[run], trials.scores[run], *(values[run] for values in truths.values())]
        spent, *numbers = (column[:count].tolist() for column in columns)
        written = ["-".join(map(str, row)) for row in trials.architectures[run, :count].tolist()]
        for t, row in enumerate(zip(spent, written, *numbers, strict=True)):
            lines.append(f"{run},{t + 1},{row[0]:.2f},{row[1]},{','.join(f'{number:.7g}' for number in row[2:])}")
    return "\n".join(lines) + "\n"


def _spread(values: np.ndarray) -> dict[str, float]:
    """Standard deviation of the runs as they are, as papers have it."""
    found = values.mean(), values.std(), np.median(values), values.min(), values.max()
    return dict(zip(SPREAD, map(float, found), strict=True))


def _most_frequent(cells: np.ndarray) -> np.ndarray:
    distinct, counts = np.unique(cells, axis=0, return_counts=True)
    return distinct[int(np.argmax(counts))]
