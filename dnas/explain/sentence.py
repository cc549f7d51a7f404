"""What why.json says in one sentence."""

from typing import Any

from dnas.reports.marks import label
from dnas.tasks.task import Score

LITTLE = 1e-3  # of a score whose chance nobody knows


def of(said: dict[str, Any], score: Score) -> str:
    """What decides, or that nothing does, and how far the mix knows it."""
    base = "mix" if said["base"]["mix"] is not None else "found"
    known = [one for one in said["decisions"] if one["lost"] is not None]
    if not known:
        if any(one["found"] is not None for one in said["decisions"]):
            return "The search has left one option of every decision, so that nothing can be taken away."
        return "The architecture that was found has no operation that could be taken away."
    first = max(known, key=lambda one: one["lost"])
    name, what = first["label"][0].upper() + first["label"][1:], option(first["found"])
    whose = "supernet" if base == "mix" else "network"
    gone = base == "mix" or first["in_found"]["without"] is not None
    changed = f"without its {what}" if gone else f"with other options than {what}"
    value = said["base"][base]["score"]
    lost = loses(score, whose, value, first["lost"])
    if first["lost"] <= 0:
        text = f"No decision by itself matters: the {whose} loses nothing without any of them"
    elif first["chance"] is not None and first["lost"] < first["chance"]:
        text = f"No decision stands out: at most, for {first['label']}, {lost} {changed}, which may be chance"
    elif first["chance"] is None and first["lost"] < LITTLE * abs(value):
        text = f"No decision stands out: the {score.name} of the {whose} hardly changes without any of them"
    else:
        text = f"{name} decides: {changed} {lost}"
    agree = said["agreement"]
    if agree is None:
        return f"{text}."
    tau = f" (Kendall {agree['kendall']:.2f})".replace("0.", ".")
    edges = "edges" if "edge" in first["label"] else "decisions"
    return f"{text}; the mix agrees with the ablation on {agree['same']} of {agree['of']} {edges}{tau}."


def option(name: str) -> str:
    """As one reads it: operations as pages call them, a bare number as the option that it is."""
    return label(name) if any(map(str.isalpha, name)) else f"option {name}"


def loses(score: Score, whose: str, value: float, lost: float) -> str:
    """A loss of the score as one reads it: accuracies in points of a hundred, others by where they go."""
    if score.name == "accuracy":
        return f"the {whose} loses {100 * lost:.1f} points"
    worse = value - lost if score.more else value + lost
    return f"the {score.name} of the {whose} goes from {value:.4g} to {worse:.4g}"
