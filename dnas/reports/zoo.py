"""Architectures that one can look at: published cells and networks, and those that searches of ours found.

What a published one costs stands beside it in the zoo (`architectures/zoo.py`): of a cell, its network for CIFAR-10
with 36 channels and 20 cells. What a found one costs is that of the network which its run trains, or would. The same
cell in several folders, a search and the trainings of what it found, is one entry.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dnas import find
from dnas.architectures import zoo
from dnas.architectures.genotype_data import Genotype, from_json
from dnas.architectures.topology import NetworkSize
from dnas.config import Config
from dnas.data._files import progress
from dnas.errors import StorageError, UserError, unknown
from dnas.files import warn
from dnas.reports.plots import Measure

COPIES = "checkpoints"  # no run lies below it
TRAINED = "a training"  # of a cell from elsewhere


@dataclass(frozen=True)
class Entry:
    """An architecture, what it costs and how good it is.

    name: a published name, or a folder, with the seed where it has several. space: with its settings. data: what costs
    and score are of. parameters, multiply_adds: None where they are not known. score: of test data, in percent if it is
    an accuracy; of an own one the mean over its trainings, None before the first. source: where it was published, or
    the method that found it, or `TRAINED`. folder: of the run, empty for published ones. began: when the run did.
    score_from: where the score of a published one was read.
    """

    name: str
    genotype: Genotype
    space: str
    data: str
    parameters: int | None
    multiply_adds: int | None
    score: float | None
    measure: Measure
    source: str
    folder: str = ""
    began: str = ""
    score_from: str = ""

    @property
    def said(self) -> str:
        """The score as one reads it: 97.24 %, or 55.7 perplexity."""
        if self.score is None:
            return "-"
        return f"{self.score:.2f} %" if self.measure.name == "accuracy" else f"{self.score:.5g} {self.measure.name}"


def published(patterns: Sequence[str] = ("*",)) -> list[Entry]:
    """Those whose names match one of the patterns, as a shell reads them, in any case. Errors: `UserError` for a
    pattern that none does, with the names that are alike."""
    names = [*zoo.names(), *zoo.networks(), *zoo.transformers()]
    chosen = dict[str, None]()
    for pattern in patterns:
        exact = zoo.find(pattern)
        fits = [exact.name] if exact else [name for name in names if fnmatchcase(name.lower(), pattern.lower())]
        if not fits:
            raise unknown("published cell or network", pattern, map(str.lower, names))
        chosen |= dict.fromkeys(fits)
    return [_published(zoo.entry(name)) for name in names if name in chosen]


def _published(entry: zoo.Entry) -> Entry:
    space = entry.genotype.space
    data = "ptb" if space == "rnn" else "imagenet" if entry.large else "cifar10"
    costs = entry.parameters, entry.multiply_adds
    about = data, *costs, entry.accuracy, Measure(), entry.source
    return Entry(entry.name, entry.genotype, entry.space or space, *about, score_from=entry.accuracy_from)


def found(folder: str | Path) -> list[Entry]:
    """The architectures of a run folder, or of all below it. Runs that are damaged are left out, which is said.

    Errors: `UserError` where there is no run.
    """
    from dnas.runs import records  # jax takes a second, and published ones need it not

    folders = list(_runs(Path(folder)))
    if not folders:
        raise UserError(
            f"There is no run with a genotype in {folder}: name the folder of a run, or one that has such below it."
        )
    entries = dict[Any, list[Entry]]()
    for path in folders:
        try:
            config = records.config_of(path)
            for entry in _of_run(path, config):
                size = config.retrain.cells, config.retrain.channels, config.retrain.stem
                entries.setdefault((entry.genotype, entry.space, entry.data, size), []).append(entry)
        except UserError as error:
            warn(f"{path} is left out. {error}")
    return [_counted(_merged(same)) for same in progress(list(entries.values()), "counting")]


def _runs(folder: Path) -> Iterator[Path]:
    """The run folders at and below a folder, a search before what lies in it."""
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name != COPIES)
        if "config.json" in files and "genotype.json" in files:
            yield Path(place)


def _of_run(folder: Path, config: Config) -> list[Entry]:
    """One for every genotype, but of seeds that diverged; the costs are counted later."""
    from dnas.reports.scores import measure_of, sound
    from dnas.runs import diverged, records

    every, measure = records.read_metrics(folder), measure_of(folder)
    rows, gone = sound(every), diverged.of_rows(every)
    genotypes = [from_json(genotype) for genotype in records.read_genotypes(folder)]
    scores = {row["seed"]: row[key] for row in rows if row.get(key := f"test_{measure.name}") is not None}
    counts = {row["parameters"] for row in rows if "parameters" in row}  # of trainings, all of one network
    parameters = int(counts.pop()) if len(counts) == 1 else None
    began = records.read_description(folder, "environment.json").get("started", "")
    entries = []
    for number, genotype in enumerate(genotypes):
        several, seed = len(genotypes) > 1, config.seed + number
        if several and seed in gone:
            continue
        known = [score for one, score in scores.items() if not several or one == seed]
        name, score = f"{folder}{f', seed {seed}' * several}", measure.scale * _mean(known) if known else None
        by = config.method if (folder / "mix.jsonl").exists() else TRAINED
        about = config.space, config.data, parameters, None, score, measure, by
        entries.append(Entry(name, genotype, *about, str(folder), began))
    return entries


def _merged(same: list[Entry]) -> Entry:
    """One cell, from the folders that have it: the first search, else the first of them, and all of their scores."""
    scores = [entry.score for entry in same if entry.score is not None]
    first = min(same, key=lambda entry: entry.source == TRAINED)
    parameters = next((entry.parameters for entry in same if entry.parameters is not None), None)
    return replace(first, parameters=parameters, score=_mean(scores) if scores else None)


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def _counted(entry: Entry) -> Entry:
    """With the costs of its network where they follow from the files of its run: of images. Of others, and of a space
    that is not here, only parameters are known, once it is trained."""
    from dnas.nets.count import of_network
    from dnas.runs.records import config_of, read_description

    match read_description(entry.folder, "data.json"):
        case {"image": [_, _, _] as shape, "classes": [*classes]}:
            inputs = tuple(map(int, shape))
        case _:
            return entry
    try:
        space = find.resolve("space", entry.space)
    except StorageError:
        raise
    except UserError:
        return entry
    plan = config_of(entry.folder).retrain
    space = replace(space, cells={kind: space.cells[kind] for kind, _ in entry.genotype.cells})
    size = NetworkSize(plan.cells, plan.channels, len(classes), inputs[-1], plan.stem, inputs=inputs)
    cost = of_network(entry.genotype, space, size, inputs[0])
    return replace(entry, parameters=cost.parameters, multiply_adds=cost.multiply_adds)
