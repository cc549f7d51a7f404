"""What came of an automatic run: a sentence, and a page."""

from typing import Any

from dnas.tasks.task import Score


def sentence(summary: dict[str, Any]) -> str:
    """How good the kept network is, in one sentence, and how the best baseline is."""
    score = Score(summary["measure"], summary["more"])
    test = summary["tests"][summary["winner"]]
    return f"{summary['winner']}: test {score.name} {shown(score, test)}, {summary['seconds'] / 60:.1f} minutes."


def shown(score: Score, test: dict[str, Any]) -> str:
    """A test score with its standard error."""
    value, error = score.shown(test["measures"][score.name]), score.shown(test["error"])
    unit = " %" if value.endswith(" %") else ""
    return f"{value.removesuffix(' %')} ± {error.removesuffix(' %')}{unit}"
