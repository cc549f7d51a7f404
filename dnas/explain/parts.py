"""The parts of why.json that need what is loaded; see `run` for what they hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnas.errors import UserError
from dnas.explain import ablation, agreement, history
from dnas.explain.ablation import Measured, Variant
from dnas.explain.decisions import Decision, is_table
from dnas.loading import FoundSupernet
from dnas.reports.plots import mix_histories
from dnas.runs import diverged, records
from dnas.search import tradeoff

ONE_PATH = "Training computes one operation at a time, so that no mix was ever computed: see in_found."
ONE_HOT = "The mix of this method is one architecture at every epoch, so it does not say how sure the search was."
UNTRAINED = "The alphas of this search are not trained, so the mix says nothing."
TABLE = "A decision of this space always takes an option, so none can be left out."


class Ablated:
    """All variants, measured. bases, how: as in why.json."""

    def __init__(
        self,
        found: FoundSupernet,
        decisions: Sequence[Decision],
        batches: int,
        quiet: bool,
        reasons: dict[str, str],
    ) -> None:
        self.found, self.decisions, self.score = found, decisions, found.task.score
        table = is_table(found.genotype)
        if table:
            reasons["without"] = TABLE
        mixes = ablation.variants(decisions, _bases(found, reasons), table)
        stage, i = found.stage, found.seed - found.config.seed
        measures = ablation.measured(stage, found.state, i, list(mixes.values()), batches=batches, quiet=quiet)
        self.measures: dict[Variant, Measured] = dict(zip(mixes, measures, strict=True))
        self.main = ablation.BASES[0] if Variant(ablation.BASES[0]) in self.measures else ablation.BASES[1]
        self.bases = {base: self._pair(Variant(base)) for base in ablation.BASES}
        self.how = self._how(batches)

    def of(self, number: int) -> dict[str, Any]:
        """Of one decision."""
        found = dict[str, Any]()
        for base, changes in (("mix", ("removed", "alone")), ("found", ("replaced",))):
            known = any((one.base, one.decision) == (base, number) for one in self.measures)
            lists = {change: self._list(base, change, number) for change in changes}
            found[f"in_{base}"] = lists | {"without": self._pair(Variant(base, "without", number))} if known else None
        lost = self._lost(number)
        return found | {"lost": lost, "chance": self._chance(lost)} | self._ranked(number)

    def _pair(self, variant: Variant) -> dict[str, float] | None:
        one = self.measures.get(variant)
        return None if one is None else {"score": one.score, "loss": one.loss}

    def _list(self, base: str, change: str, number: int) -> dict[str, list[float | None]]:
        options = range(len(self.decisions[number].options))
        each = [self.measures.get(Variant(base, change, number, o)) for o in options]
        return {
            "score": [None if one is None else one.score for one in each],
            "loss": [None if one is None else one.loss for one in each],
        }

    def _worse(self, variant: Variant) -> float | None:
        """By how much a variant is worse than its base."""
        one, base = self.measures.get(variant), self.measures.get(Variant(variant.base))
        return None if one is None or base is None else self.score.signed(base.score) - self.score.signed(one.score)

    def _lost(self, number: int) -> float | None:
        decision = self.decisions[number]
        if decision.found is None:
            return None
        own = decision.options.index(decision.found)
        if self.main == "mix":
            return self._worse(Variant("mix", "removed", number, own))
        without = self._worse(Variant("found", "without", number))
        others = [
            self._worse(Variant("found", "replaced", number, o)) for o in range(len(decision.options)) if o != own
        ]
        return agreement.mean(others) if without is None else without

    def _chance(self, lost: float | None) -> float | None:
        """Two standard errors of the difference of two accuracies, as if of different examples: of the same ones it is
        less."""
        if lost is None or self.score.name != "accuracy":
            return None
        base = self.measures[Variant(self.main)]
        shares = np.clip([base.score, base.score - lost], 0, 1)
        return 2 * float(np.sqrt((shares * (1 - shares)).sum() / base.examples))

    def _ranked(self, number: int) -> dict[str, Any]:
        """Which option the ablation finds most needed, and whether the mix agrees."""
        decision = self.decisions[number]
        change, sign = ("removed", -1) if self.main == "mix" else ("replaced", 1)
        each = [self.measures.get(Variant(self.main, change, number, o)) for o in range(len(decision.options))]
        worth = agreement.ranks(
            [np.nan if one is None else sign * self.score.signed(one.score) for one in each],
            [np.nan if one is None else -sign * one.loss for one in each],
        )
        weights = np.asarray(self.found.mix[decision.kind])[decision.row][: len(decision.options)]
        first, one = agreement.first(worth), agreement.agreement(weights, worth)
        return {
            "most_needed": None if first is None else decision.options[first],
            "agreement": one
            and {"kendall": one.kendall, "same": one.same, "strongest": decision.options[one.strongest]},
        }

    def _how(self, batches: int) -> dict[str, Any]:
        base, count = self.measures[Variant(self.main)], self.found.stage.batches
        calibrated = ablation.calibration_of(self.found.stage)
        return {
            "statistics": "calibrated" if calibrated else "batch",
            "batches": min(batches or count, count),
            "examples": base.examples,
            "variants": len(self.measures),
        }


def _bases(found: FoundSupernet, reasons: dict[str, str]) -> dict[str, Any]:
    """The mixes that variants are made of. Errors: `UserError` where there is none."""
    bases = {"mix": found.mix}
    if found.stage.single_path:
        reasons["in_mix"] = ONE_PATH
        del bases["mix"]
    try:
        bases["found"] = ablation.found_mix(found.genotype, found.stage, found.mix)
    except UserError as error:
        if not bases:
            raise
        reasons["in_found"] = f"The supernet cannot express the architecture that was found: {error}"
    return bases


def described(decision: Decision, found: FoundSupernet) -> dict[str, Any]:
    """Which decision it is, and the weights of its options."""
    node, source = decision.edge
    weights = np.asarray(found.mix[decision.kind])[decision.row][: len(decision.options)]
    which = {"kind": decision.kind, "name": decision.name, "node": node, "source": source, "label": decision.label}
    return which | {"options": decision.options, "found": decision.found, "mix": weights}


def history_of(
    found: FoundSupernet, decisions: Sequence[Decision], reasons: dict[str, str]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, bool]:
    """Of every decision its entropy and margin over epochs; the mean entropy; and whether the alphas are trained."""
    kinds = mix_histories([row for row in records.read_mix(found.folder) if row["seed"] == found.seed])
    own = kinds.get(found.seed, {})
    nothing = [{"entropy": None, "margin": None, "last_change": None}] * len(decisions)
    if not all(one.kind in own and one.name in own[one.kind].edges for one in decisions):
        reasons["undecided"] = "The run has recorded no mix of these decisions."
        return nothing, None, True
    if found.stage.method.hypergrad is None and not any(map(history.changes, own.values())):
        reasons["undecided"] = UNTRAINED
        return nothing, None, False
    if all(map(history.is_one_hot, own.values())):
        reasons["undecided"] = ONE_HOT
        return nothing, None, True
    courses = {
        (kind, name): course
        for kind, one in own.items()
        for name, course in zip(one.edges, history.courses(one), strict=True)
    }
    each = [courses[decision.kind, decision.name] for decision in decisions]
    epochs = next(iter(own.values())).epochs
    return [one._asdict() for one in each], {"epochs": epochs, "entropy": history.mean_over(each)}, True


def seeds_of(
    found: FoundSupernet, decisions: Sequence[Decision], reasons: dict[str, str]
) -> tuple[list[dict[str, int] | None], dict[str, Any] | None]:
    """Of every decision how many seeds of the run found what; and how much their architectures have in common."""
    nothing: tuple[list[dict[str, int] | None], None] = ([None] * len(decisions), None)
    if len(found.genotypes) < 2:
        reasons["stability"] = "The run has one seed: search with --seeds 3, say."
        return nothing
    if len(set(tradeoff.weights(found.config))) > 1:
        reasons["stability"] = "The seeds of this run have different weights of the penalty, and are to differ."
        return nothing
    first, gone = found.config.seed, diverged.of_rows(records.read_metrics(found.folder))
    ended = [first + i for i in range(len(found.genotypes)) if first + i not in gone]
    if len(ended) < 2:
        reasons["stability"] = "All other seeds of the run diverged."
        return nothing
    stable = agreement.stability([found.genotypes[seed - first] for seed in ended], found.stage.space)
    said = {
        "seeds": len(ended),
        "agreement": stable.agreement,
        "chance": stable.chance,
        "distances": [[ended[i], ended[j], share] for (i, j), share in stable.distances.items()],
    }
    return [dict(stable.options[one.kind, one.edge].most_common()) for one in decisions], said


def agreed(listed: Sequence[dict[str, Any]], trained: bool, reasons: dict[str, str]) -> dict[str, Any] | None:
    """Over all decisions; where the alphas are not trained there is no agreement, of single ones neither."""
    if not trained:
        reasons["agreement"] = UNTRAINED
        for one in listed:
            one["agreement"] = None
    each = [one["agreement"] for one in listed if one["agreement"] is not None]
    if not each:
        reasons.setdefault("agreement", "No decision has two options that can be compared.")
        return None
    return {
        "kendall": agreement.mean([one["kendall"] for one in each]),
        "same": sum(one["same"] for one in each),
        "of": len(each),
    }
