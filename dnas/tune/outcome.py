"""What a study leaves: trials.csv, the best config and genotype, what matters, pictures and a page."""

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.genotype import Genotype, from_json
from dnas.blackbox.optuna_study import library
from dnas.config import Config, to_dict
from dnas.errors import UserError
from dnas.fields import shown
from dnas.files import atomic_write
from dnas.reports import page, tables, tuning
from dnas.reports.plots import Measure
from dnas.reports.tuning import Dimension
from dnas.tune import study as studies
from dnas.tune.axes import Axis, applied
from dnas.tune.plan import Plan

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
PICTURES = "history.png", "importances.png", "contours.png", "parallel.png"
MOST_PANELS, MOST_LINES, MOST_ROWS = 3, 8, 20  # fields of the contours and of the parallel coordinates; rows of a page


class Result(NamedTuple):
    """What is known of a study. config, genotype, score: of the best trial, the score as measured on the validation
    part. values: of the fields that were tuned. importances: shares by field, empty where too little is known.
    counts: of trials, by what became of them."""

    plan: Plan
    folder: Path
    config: Config
    genotype: Genotype
    score: float
    number: int
    values: dict[str, Any]
    importances: dict[str, float]
    counts: dict[str, int]


def written(plan: Plan, study: Any, folder: Path) -> Result:
    """All files of a study. Errors: `UserError` where no trial has a score."""
    trials = studies.ended(study)
    whole = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not whole:
        failed = [trial for trial in trials if trial.state.name == "FAIL"]
        first = f", the first: {studies.reason(failed[0])}" if failed else ""
        raise UserError(f"None of {len(trials)} trials has a score; {len(failed)} failed{first}")
    best = (max if plan.score.more else min)(whole, key=lambda trial: trial.value)
    counts = {name: sum(trial.state.name == state for trial in trials) for state, name in STATES.items()}
    config, values = applied(plan.config, best.params), dict(best.params)
    genotype = json.loads(best.user_attrs["genotype"])
    shares = _importances(study, plan, whole)
    result = Result(plan, folder, config, from_json(genotype), best.value, best.number, values, shares, counts)
    atomic_write(folder / "trials.csv", _table(plan, trials))
    atomic_write(folder / "best.json", json.dumps(to_dict(config), indent=1))
    atomic_write(folder / "cell.json", json.dumps(genotype, indent=1))
    about = {"score": plan.score.name, "best": best.value, "trial": best.number, "values": values}
    atomic_write(folder / "summary.json", json.dumps(about | {"importances": shares, "trials": counts}, indent=1))
    drawn = _draw(plan, trials, whole, shares, folder)
    _page(result, whole, drawn)
    return result


def _importances(study: Any, plan: Plan, whole: list[Any]) -> dict[str, float]:
    """Which share of the scores' variance each field explains, the largest first: fANOVA (Hutter, Hoos and
    Leyton-Brown, ICML 2014). Empty where all scores are alike."""
    if len({trial.value for trial in whole}) < 2:
        return {}
    importance = library("optuna").importance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importance.get_param_importances(study, evaluator=importance.FanovaImportanceEvaluator(seed=0))
    return {path: float(share) for path, share in found.items()}


def _table(plan: Plan, trials: list[Any]) -> str:
    """CSV: trial, state (complete, pruned, failed), score on the validation part (of a pruned one the last), of several
    trainings their mean and standard deviation, epochs that were reported, seconds, parameters of the network, every
    tuned field, genotype as JSON, why it failed."""
    paths, spread = [axis.path for axis in plan.axes], [f"{plan.score.name}_std"] * (plan.repeats > 1)
    header = ["trial", "state", plan.score.name, *spread, "epochs", "seconds", "network", *paths, "genotype", "failed"]
    rows = []
    for trial in trials:
        known, state = trial.user_attrs, STATES[trial.state.name]
        seconds = f"{trial.duration.total_seconds():.2f}" if trial.duration else ""
        value = "" if trial.value is None else f"{trial.value:.7g}"
        values = ["" if path not in trial.params else _cell(trial.params[path]) for path in paths]
        why = studies.reason(trial) if state == "failed" else ""
        scores = known.get("scores")
        spreads = [f"{np.std(scores, ddof=1):.4g}" if scores else ""] * len(spread)
        row = [str(trial.number), state, value, *spreads, str(max(trial.intermediate_values, default="")), seconds]
        rows.append([*row, str(known.get("network", "")), *values, known.get("genotype", ""), why])
    return tables.as_csv(header, rows)


def _cell(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else shown(value)


def _draw(plan: Plan, trials: list[Any], whole: list[Any], shares: dict[str, float], folder: Path) -> list[Path]:
    """The pictures that there is enough for."""
    measure, scored = Measure(*plan.score), [trial for trial in trials if trial.value is not None]
    complete = np.array([trial.state.name == "COMPLETE" for trial in scored])
    numbers, values = [trial.number for trial in scored], np.array([trial.value for trial in scored])
    tuning.plot_history(numbers, values, complete, measure, folder / PICTURES[0])
    drawn, scores = [folder / PICTURES[0]], np.array([trial.value for trial in whole])
    order = sorted(plan.axes, key=lambda axis: (axis.of_architecture, -shares.get(axis.path, 0.0)))
    dimensions = [_dimension(axis, whole) for axis in order]
    if shares:
        tuning.plot_importances(dict(list(shares.items())[:MOST_ROWS]), len(whole), folder / PICTURES[1])
        drawn.append(folder / PICTURES[1])
    if shares and len(dimensions) > 1:
        tuning.plot_contours(dimensions[:MOST_PANELS], scores, measure, folder / PICTURES[2])
        drawn.append(folder / PICTURES[2])
    if shares:
        tuning.plot_parallel(dimensions[:MOST_LINES], scores, measure, folder / PICTURES[3])
        drawn.append(folder / PICTURES[3])
    return drawn


def _dimension(axis: Axis, trials: list[Any]) -> Dimension:
    values = [trial.params[axis.path] for trial in trials]
    if not axis.listed:
        return Dimension(axis.path, np.array(values, float), log=axis.log)
    return Dimension(axis.path, np.array([axis.values.index(v) for v in values]), tuple(map(shown, axis.values)))


def _page(result: Result, whole: list[Any], pictures: list[Path]) -> None:
    plan, score = result.plan, result.plan.score
    best = sorted(whole, key=lambda trial: -score.signed(trial.value))[:MOST_ROWS]
    fields = [axis.path for axis in plan.axes if not axis.of_architecture]
    rows = [
        {"trial": trial.number, f"validation {score.name}": score.shown(trial.value)}
        | {path: shown(trial.params[path]) for path in fields}
        | {"parameters": f"{trial.user_attrs['network']:,}", "seconds": round(trial.duration.total_seconds(), 1)}
        for trial in best
    ]
    tiles = {f"best validation {score.name}": score.shown(result.score), "of trial": str(result.number)}
    tiles |= {f"trials {name}": str(count) for name, count in result.counts.items() if count}
    described = plan.described()
    about = {"over": described["over"], "searcher": plan.searcher, "pruner": plan.pruner} | to_dict(result.config)
    title = f"tuning on {plan.config.data}, space {plan.config.space}"
    genotype = page.indented(json.loads((result.folder / "cell.json").read_text()))
    page.of_study(result.folder, title, tiles, pictures, [genotype], rows, about)
