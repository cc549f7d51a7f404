"""What came of an automatic run: a summary, sentences, and a page."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnas.automl.networks import Entry, best_of
from dnas.reports import charts, html
from dnas.runs import loop
from dnas.tasks.task import Score

COLOURS = dict(zip(("fixed", "learner", "found", "tuned"), charts.PALETTE, strict=False))
WORDS = {"fixed": "fixed network", "learner": "scikit-learn", "found": "found by the search", "tuned": "tuned"}


def compared(winner: Entry, entries: list[Entry], tests: dict[str, Any]) -> dict[str, Any]:
    """How the kept network stands beside the baseline with the best test score, of those that were tested: the
    difference, its standard error, and whether the network is better by more than that ("beats"), within ("ties"), or
    worse ("loses")."""
    score, own = winner.score, tests[winner.name]
    rivals = [entry for entry in entries if entry.kind in ("fixed", "learner") and entry.name in tests]
    best = max(rivals, key=lambda entry: score.signed(tests[entry.name]["measures"][score.name]), default=None)
    if best is None:
        return {}
    difference = score.signed(own["measures"][score.name]) - score.signed(tests[best.name]["measures"][score.name])
    error = math.hypot(own["error"], tests[best.name]["error"])
    stands = "beats" if difference > error else "ties" if difference >= -error else "loses"
    return {"baseline": best.name, "difference": difference, "error": error, "stands": stands}


def sentence(summary: dict[str, Any]) -> str:
    """How good the kept network is, and how it stands beside the best baseline."""
    score, test = Score(summary["measure"], summary["more"]), summary["tests"][summary["winner"]]
    kept = next(entry for entry in summary["entries"] if entry["name"] == summary["winner"])
    said = (
        f"Kept: {kept['name']} ({WORDS[kept['kind']]}), {kept['parameters']:,} parameters, test {score.name} "
        f"{shown(score, test)}, after {summary['seconds'] / 60:.1f} minutes."
    )
    found = summary["compared"]
    if found.get("baseline") == summary["winner"]:
        return f"{said} No network that was found or tuned was better by validation{_of(summary)}."
    if found:
        rival = shown(score, summary["tests"][found["baseline"]])
        words = {
            "beats": "It is better than every baseline; the best of them",
            "ties": "Within one standard error of the difference lies the best baseline",
            "loses": "The best baseline is better",
        }
        said += f" {words[found['stands']]}: {found['baseline']}, {rival}."
    return f"{said} {summary['learner']}".rstrip()


def _of(summary: dict[str, Any]) -> str:
    """Of how many."""
    tried = sum(entry["kind"] in ("found", "tuned") for entry in summary["entries"])
    return f", of {tried}" if tried else ": there was no time for any"


def of_learners(winner: Entry, entries: list[Entry]) -> str:
    """A sentence where a model of scikit-learn, which cannot be kept, is better on validation; else empty."""
    best = best_of([entry for entry in entries if entry.kind == "learner"])
    if best is None or winner.failed or best.key <= winner.key:
        return ""
    return f"On validation {best.name} of scikit-learn is better, {best.shown()} against {winner.shown()}."


def shown(score: Score, test: dict[str, Any]) -> str:
    """A test score with its standard error."""
    value, error = score.shown(test["measures"][score.name]), score.shown(test["error"])
    unit = " %" if value.endswith(" %") else ""
    return f"{value.removesuffix(' %')} ± {error.removesuffix(' %')}{unit}"


def summed_up(
    data: str, seconds: float, winner: Entry, entries: list[Entry], tests: dict[str, Any], folder: str
) -> dict[str, Any]:
    """What summary.json says, ready for JSON. folder: of the export."""
    return {
        "data": data,
        "winner": winner.name,
        "measure": winner.measure,
        "more": winner.more,
        "seconds": round(seconds, 1),
        "entries": [asdict(entry) for entry in entries],
        "tests": tests,
        "compared": compared(winner, entries, tests),
        "learner": of_learners(winner, entries),
        "export": folder,
    }


def page(folder: Path, summary: dict[str, Any], seen: dict[str, Any], stages: list[dict[str, Any]]) -> Path:
    """Write report.html. seen: the look at the data. stages: what was said, and the commands, by stage."""
    score = Score(summary["measure"], summary["more"])
    entries = [Entry(**one) for one in summary["entries"]]
    ranked = sorted(entries, key=lambda entry: (bool(entry.failed), *(-value for value in entry.key)))
    scale = 100 if score.name == "accuracy" else 1
    bars = [
        charts.Bar(
            entry.name,
            scale * entry.mean,
            COLOURS[entry.kind],
            score.shown(entry.mean).removesuffix(" %"),
            scale * entry.error,
        )
        for entry in ranked
        if not entry.failed
    ]
    winner = next(entry for entry in entries if entry.name == summary["winner"])
    test = summary["tests"][winner.name]
    unit = " [%]" * (score.name == "accuracy")
    tiles = {
        f"test {score.name}": shown(score, test),
        f"validation {score.name}": winner.shown(),
        "parameters": f"{winner.parameters:,}",
        "minutes": f"{summary['seconds'] / 60:.1f}",
    }
    program, kept = loop.program(), loop.quoted(folder / "7_network")
    return html.write(
        "auto.html.jinja",
        folder / "report.html",
        {
            "title": f"dnas auto: {summary['data']}",
            "sentence": sentence(summary),
            "tiles": tiles,
            "findings": seen["findings"],
            "charts": [charts.bars(f"validation {score.name}{unit}", bars)] if bars else [],
            "columns": ["network", "what", f"validation {score.name}", f"test {score.name}", "parameters"],
            "rows": [_row(entry, summary, score) for entry in ranked],
            "measures": test["measures"],
            "stages": stages,
            "commands": [f"{program} predict {kept} ...", f"{program} test {kept}"],
            "export": summary["export"],
            "config": winner.config,
        },
    )


def _row(entry: Entry, summary: dict[str, Any], score: Score) -> list[str]:
    test = summary["tests"].get(entry.name)
    name = f"{entry.name} (kept)" if entry.name == summary["winner"] else entry.name
    return [
        name,
        WORDS[entry.kind],
        entry.shown(),
        "" if test is None else shown(score, test),
        f"{entry.parameters:,}" if entry.parameters else "",
    ]
