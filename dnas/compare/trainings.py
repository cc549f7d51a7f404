"""Trainings of the found cells, each once, whoever found it; of several settings the validation score chooses."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas import retrain
from dnas.architectures.genotype import Genotype, to_json
from dnas.compare.experiment import Baseline
from dnas.compare.protocol import Protocol
from dnas.compare.rows import Row
from dnas.config import Config, RetrainConfig, SearchConfig, to_dict
from dnas.errors import StorageError, UserError
from dnas.files import atomic_write, read_sealed, sealed, warn
from dnas.loading import load
from dnas.reports.plots import Measure
from dnas.runs import diverged, loop, records

AGAIN = "it is written anew"


class Trained(NamedTuple):
    """test, valid: means over the trainings of a cell under one setting; valid: None without a validation part.
    setting: learning rate and weight decay."""

    test: float
    valid: float | None
    measure: Measure
    setting: tuple[float, float]


Scores = Callable[[Row], list[Trained | None]]


def trainings(rows: list[Row], base: Config, protocol: Protocol, folder: Path, quiet: bool) -> Scores:
    """Train every cell; gives (row) -> what came out for each of its genotypes under the setting that counts, None
    where all failed.

    base: how the cells of rows are trained that do not say it themselves.
    """

    def asked(row: Row) -> list[tuple[Genotype, Config]]:
        """Found cells have the same seed, so that none is luckier; a baseline's scores differ in nothing but theirs."""
        config = row.config if isinstance(row.config, Config) else base
        seeds = [config.seed] * len(row.genotypes)
        if isinstance(row.config, Baseline):
            seeds = row.config.seeds_of(protocol.train_seeds)
        return [(genotype, replace(config, seed=seed)) for genotype, seed in zip(row.genotypes, seeds, strict=True)]

    cells = {_place(genotype, config): (genotype, config) for row in rows for genotype, config in asked(row)}
    scores, place = dict[str, Trained | None](), folder / "cells"
    for number, (cell, (genotype, config)) in enumerate(cells.items(), 1):
        say = f"Training cell {number} of {len(cells)}"
        jobs = [plain(config, protocol, setting) for setting in protocol.settings(config.retrain)]
        tried = {job: _trained(job, genotype, place, say, quiet) for job in jobs}
        done = {job: one for job, one in tried.items() if one is not None}
        best = _chosen(done)
        scores[cell] = None if best is None else _written(best, genotype, place, done[best], protocol.measure)
    return lambda row: [scores[_place(genotype, config)] for genotype, config in asked(row)]


def plain(config: Config, protocol: Protocol, setting: RetrainConfig) -> Config:
    """How a cell is trained, whoever found it."""
    alike = replace(config, method="darts", seeds=protocol.train_seeds, checkpoint_epochs=1)
    return replace(alike, search=SearchConfig(), retrain=setting)


def _chosen(found: Mapping[Config, Trained]) -> Config | None:
    """The best by validation where there are several; the first of equals."""
    if len(found) < 2:
        return next(iter(found), None)

    def valid(config: Config) -> float:
        one = found[config]
        return -np.inf if one.valid is None else one.measure.sign * one.valid

    return max(found, key=valid)


def _trained(config: Config, genotype: Genotype, folder: Path, say: str, quiet: bool) -> Trained | None:
    """Read where it is finished, else trained or gone on with; None where the training fails."""
    place = _place(genotype, config, config.seeds)
    out = folder / place
    weights = config.retrain.weights
    setting = weights.learning_rate, weights.decay
    known = _known(out / "score.json", place, setting)
    if known is not None:
        return known
    loop.say(say, quiet)
    try:
        # a cell through which nothing flows counts as what it is worth, else who finds it would gain by it
        result = retrain.run(config, genotype, out, resume=records.holds_run(out), quiet=True, allow_constant=True)
        diverged.refuse_any(result.diverged)
    except StorageError:  # says nothing about the cell
        raise
    except UserError as error:
        loop.say(f"{say}: {error}", quiet)
        return None
    finally:
        loop.forget_programs()
    valid = validation_score(out, result.measure.name)
    known = Trained(result.score, valid, Measure(*result.measure), setting)
    said = {"cell": place, "test_score": known.test, "valid_score": valid, "measure": known.measure._asdict()}
    atomic_write(out / "score.json", sealed(said))
    return known


def _written(config: Config, genotype: Genotype, folder: Path, trained: Trained, measure: str) -> Trained:
    """With what is measured of the texts that the trained networks write in the place of the test score, where that is
    asked for: its mean over the trainings."""
    if not measure:
        return trained
    place = _place(genotype, config, config.seeds)
    file, found = folder / place / f"{measure}.json", None
    try:
        known = read_sealed(file, AGAIN)
        found = float(known["test_score"]) if known is not None and known["cell"] == place else None
    except (UserError, KeyError, TypeError, ValueError):
        warn(f"{file} is damaged: {AGAIN}.")
    if found is None:
        networks = [load(folder / place, seed=seed) for seed in range(config.seed, config.seed + config.seeds)]
        found = float(np.mean([network.evaluate().measures[measure] for network in networks]))
        atomic_write(file, sealed({"cell": place, "test_score": found}))
        loop.forget_programs()
    return trained._replace(test=found, measure=Measure(measure))


def validation_score(folder: Path, name: str) -> float | None:
    """The mean validation score, over seeds, of the weights that a training ended with; None without validation."""
    last: dict[int, float] = {}
    rows = [row for row in records.read_metrics(folder) if row.get(f"valid_{name}") is not None]
    by_epoch = {(row["seed"], row["epoch"]): row[f"valid_{name}"] for row in rows}
    for row in rows:
        last[row["seed"]] = by_epoch[row["seed"], row.get("best_epoch") or row["epoch"]]
    return float(np.mean([*last.values()])) if last else None


def _known(file: Path, cell: str, setting: tuple[float, float]) -> Trained | None:
    """Of a cell, by its place, whose training is finished; else None. If the file is damaged or that of another cell
    too: the training then says it again."""
    try:
        if (known := read_sealed(file, AGAIN)) is None:
            return None
        if known["cell"] != cell:
            warn(f"{file} is of another cell, {known['cell']}: {AGAIN}.")
            return None
        valid = None if known["valid_score"] is None else float(known["valid_score"])
        measure = Measure(str(known["measure"]["name"]), bool(known["measure"]["more"]))
        return Trained(float(known["test_score"]), valid, measure, setting)
    except (UserError, KeyError, TypeError, ValueError):
        warn(f"{file} is damaged, or of an earlier version: {AGAIN}.")
        return None


def _place(genotype: Genotype, config: Config, trainings: int = 1) -> str:
    what = [to_json(genotype), to_dict(config)["retrain"], config.data, config.task, config.seed, config.dtype]
    what += [trainings] * (trainings > 1)
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]
