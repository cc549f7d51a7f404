"""All of it, written as why.json into the folder of the search, whole or not at all.

    seed, epoch, genotype   of what is explained; a search that went on since has another epoch or genotype
    space, method, score    {"name", "more"}: of the task; scores in here are its numbers as they are, accuracies shares
    sentence, command       what is said of it in one sentence, and what was typed
    decisions               a list, of every row of the mix:
        kind, name, node, source, label     which it is: "normal", "2<-0", 2, 0, "edge 2<-0 of the normal cell"
        options, found      what could be chosen [O]; what was, null on an edge that the genotype lacks
        mix                 the weights at the end [O]
        in_mix              null, or {"removed", "alone": {"score", "loss"} [O], "without": {"score", "loss"} or null}
        in_found            null, or {"replaced": {"score", "loss"} [O], "without": ... or null}; see `ablation`
        lost                by how much the score is worse without what was found, more is worse; null where unknown
        chance              null, or two standard errors of that, of accuracies: what is less may be none
        most_needed         the option without which most is lost; null where none stands out
        agreement           null, or {"kendall", "same", "strongest"}: of mix and ablation
        seeds               null, or {option: how many seeds found it}
        entropy, margin     null, or relative entropy of the row, and first minus second option, at every epoch
        last_change         epoch from which the strongest option stayed; null: all along
    base                    {"mix", "found"}: {"score", "loss"} with nothing changed, or null
    ablation                {"statistics": "batch" or "calibrated", "batches", "examples", "variants"}: how it was
                            measured
    agreement               null, or {"kendall": mean, "same", "of"}
    stability               null, or {"seeds", "agreement", "chance", "distances": [[seed, seed, share], ...]}
    curvature               null, or {"eigenvalue": at the end or null, "epochs", "eigenvalues": recorded by the search}
    undecided               null, or {"epochs", "entropy"}: the mean over decisions
    trained                 null, or {"epochs", "found": measures, "better", "of", "neighbours": [{"label", "before",
                            "after", "genotype", "measures"}, ...], "left": how many were not asked}
    reasons                 {name: sentence} for what is null above, and what else to know ("budget")

Scores and losses that are no number are null. An option that a genotype cannot have there is null in every list.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from dnas.architectures.genotype import to_json
from dnas.errors import UserError
from dnas.explain import curvature, neighbours, sentence
from dnas.explain.decisions import decisions_of, is_table, label_of
from dnas.explain.parts import Ablated, agreed, described, history_of, seeds_of
from dnas.files import atomic_write, read_json
from dnas.loading import FoundSupernet, load
from dnas.reports.page import page
from dnas.runs import loop, records, rows

NAME = "why.json"


@dataclass(frozen=True)
class Asked:
    """What is measured. batches: of the validation part, 0: all. epochs: of every training, 0: there are none. most:
    trainings of neighbours, 0: all of them."""

    batches: int = 0
    epochs: int = 0
    most: int = 0


def run(
    folder: str | Path, seed: int | None = None, *, asked: Asked = Asked(), data: Any = None, quiet: bool = False
) -> dict[str, Any]:
    """What why.json of a search says, which is written, and the page of the run anew.

    seed: which of the run's seeds, by default the first. data: as of `dnas.load`.

    Errors: `UserError` for a folder that holds no search, or one that has not ended an epoch.
    """
    loop.prepare_process()
    folder = Path(folder)
    found = load(folder, seed, data=data)
    if not isinstance(found, FoundSupernet):
        raise UserError(f"{folder} holds a training, in which nothing was chosen: name the folder of a search.")
    with jax.enable_x64(found.config.dtype == "float64"):
        said = rows.plain(explained(found, asked, quiet))
    atomic_write(folder / NAME, rows.to_json(said))
    page(folder)
    return said


def read(folder: str | Path) -> dict[str, Any] | None:
    """What why.json of a folder says, None if there is none. Errors: `StorageError` for one that is damaged."""
    return read_json(Path(folder) / NAME, hint=f"write it again with dnas why {folder}")


def explained(found: FoundSupernet, asked: Asked = Asked(), quiet: bool = True) -> dict[str, Any]:
    """The same of what is loaded, which is not written. float64 is as the search has it."""
    stage, i, reasons = found.stage, found.seed - found.config.seed, dict[str, str]()
    mask = {kind: leaf[i] for kind, leaf in jax.device_get(found.state.mask or {}).items()}
    decisions = decisions_of(stage.space, found.genotype, mask)
    ablated = Ablated(found, decisions, asked.batches, quiet, reasons)
    courses, undecided, trained = history_of(found, decisions, reasons)
    seeds, stable = seeds_of(found, decisions, reasons)
    listed = [
        described(decision, found) | ablated.of(number) | {"seeds": seeds[number]} | courses[number]
        for number, decision in enumerate(decisions)
    ]
    said = {
        "seed": found.seed,
        "epoch": stage.span.epoch + (int(found.state.step[i]) - stage.span.start) // stage.steps,
        "genotype": to_json(found.genotype),
        "space": found.config.space,
        "method": found.config.method,
        "score": found.task.score._asdict(),
        "command": loop.typed_command(),
        "agreement": agreed(listed, trained, reasons),
        "decisions": listed,
        "base": ablated.bases,
        "ablation": ablated.how,
        "stability": stable,
        "curvature": _curvature(found, i, reasons),
        "undecided": undecided,
        "trained": _trained(found, asked, quiet, reasons),
        "reasons": reasons,
    }
    if found.config.budget:
        reasons["budget"] = f"The architecture keeps to the budget {found.config.budget}, and other options may not."
    return {"sentence": sentence.of(said, found.task.score)} | said


def _curvature(found: FoundSupernet, i: int, reasons: dict[str, str]) -> dict[str, Any] | None:
    recorded = curvature.recorded(records.read_metrics(found.folder), found.seed)
    why = curvature.inapplicable(found.stage)
    if why:
        reasons["curvature"] = why
    if why and not recorded["epochs"]:
        return None
    return {"eigenvalue": None if why else curvature.curvature(found.stage, found.state, i)} | recorded


def _trained(found: FoundSupernet, asked: Asked, quiet: bool, reasons: dict[str, str]) -> dict[str, Any] | None:
    if not asked.epochs:
        reasons["trained"] = "Nothing was trained: ask for it with --retrained EPOCHS."
        return None
    space, table, score = found.stage.space, is_table(found.genotype), found.task.score
    others = neighbours.ordered(found.genotype, space, found.mix)
    taken = others[: asked.most or None]
    genotypes = [found.genotype, *(other.genotype for other in taken)]
    config = replace(found.config, seed=found.seed)
    own, *measures = neighbours.trained(found.folder, config, genotypes, asked.epochs, quiet)
    worth = [score.signed(one[score.name]) for one in (own, *measures) if one is not None]
    return {
        "epochs": asked.epochs,
        "found": own,
        "better": sum(value > worth[0] for value in worth[1:]) if own is not None else None,
        "of": sum(one is not None for one in measures),
        "neighbours": [
            {
                "label": label_of(other.kind, other.before[:2], table, len(space.cells)),
                "before": other.before.operation,
                "after": other.after.operation,
                "source": other.after.source,
                "genotype": to_json(other.genotype),
                "measures": one,
            }
            for other, one in zip(taken, measures, strict=True)
        ],
        "left": len(others) - len(taken),
    }
