"""Trainings of the architecture that was found and of those that differ from it in one decision.

Each is trained for a few epochs by the run's own plan of training, without files, and measured on a validation part,
as the evaluator `train` does. Every decision's strongest alternative in the mix comes first, then every second one, and
so on, so that a few trainings ask all decisions. Finished ones are lines of a journal, and are not repeated.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures import encoding
from dnas.architectures.genotype import Edge, Genotype, to_json
from dnas.architectures.topology import Space
from dnas.config import Config, to_dict
from dnas.errors import UserError
from dnas.evaluators import train
from dnas.files import append, parsed
from dnas.paths import content_of
from dnas.runs import loop
from dnas.types import Mix

JOURNAL = "why_trained.jsonl"
FORGET = 10  # trainings between which compiled programs pile up


class Neighbour(NamedTuple):
    """kind, before, after: of the cell which edge was exchanged for which."""

    genotype: Genotype
    kind: str
    before: Edge
    after: Edge


def ordered(genotype: Genotype, space: Space, mix: Mix) -> list[Neighbour]:
    """All neighbours, the strongest alternative of every decision first, decisions in the order of the cells."""
    decisions: dict[tuple[str, Edge], list[tuple[float, Neighbour]]] = {}
    for one in _neighbours(genotype, space):
        cell = space.cells[one.kind]
        e = cell.edges.index((one.after.node, one.after.source))
        weight = float(np.asarray(mix[one.kind])[e, cell.operations[e].index(one.after.operation)])
        decisions.setdefault((one.kind, one.before), []).append((weight, one))
    ranked = [sorted(found, key=lambda pair: -pair[0]) for found in decisions.values()]
    longest = max(map(len, ranked), default=0)
    return [row[place][1] for place in range(longest) for row in ranked if place < len(row)]


def _neighbours(genotype: Genotype, space: Space) -> Iterator[Neighbour]:
    """Those that compute something else: decisions on what a network does not have do not count."""
    used = space.used or (lambda one: one)
    seen = {used(genotype)}
    for other in encoding.neighbours(genotype, space):
        if used(other) in seen:
            continue
        seen.add(used(other))
        for (kind, old), (_, new) in zip(genotype.cells, other.cells, strict=True):
            gone, come = set(old.edges) - set(new.edges), set(new.edges) - set(old.edges)
            if gone and come:
                yield Neighbour(other, kind, gone.pop(), come.pop())


def trained(
    folder: Path, config: Config, genotypes: Sequence[Genotype], epochs: int, quiet: bool
) -> list[dict[str, float] | None]:
    """What trainings of so many epochs measure on the validation part; None for one that failed.

    Errors: `UserError` for a plan that cannot be trained.
    """
    fit = replace(config, seeds=1, weights_from="", retrain=replace(config.retrain, epochs=epochs))
    train.check(fit, genotypes[0])
    plan = {
        name: value for name, value in to_dict(fit).items() if name not in ("search", "method", "budget", "penalty")
    }
    known = {line["id"]: line["measures"] for line in _read(folder / JOURNAL)}
    found = []
    with loop.counting("trainings", "architectures", quiet, total=len(genotypes)) as count:

        def measure(genotype: Genotype) -> dict[str, float] | None:
            name = f"{zlib.crc32(json.dumps([plan, to_json(genotype)]).encode()):08x}"
            if name not in known:
                known[name] = _measured(fit, genotype)
                line = {"id": name, "epochs": epochs, "genotype": to_json(genotype), "measures": known[name]}
                append(folder / JOURNAL, json.dumps(line) + "\n")
            return known[name]

        measure = count(measure)
        for number, genotype in enumerate(genotypes, 1):
            found.append(measure(genotype))
            if number % FORGET == 0:
                loop.forget_programs()
    return found


def _measured(config: Config, genotype: Genotype) -> dict[str, float] | None:
    try:
        return train.measured(config, genotype)
    except UserError as error:
        loop.say(f"A training failed and is left out: {error}")
        return None


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of the journal, up to the first that is none."""

    def fits(line: Any) -> bool:
        return (
            isinstance(line, dict) and isinstance(line.get("id"), str) and isinstance(line.get("measures"), dict | None)
        )

    return parsed(content_of(path), fits)[0] if path.exists() else []
