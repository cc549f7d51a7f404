"""What why.json says in one sentence."""

from typing import Any

from dnas.tasks.task import Score


def of(said: dict[str, Any], score: Score) -> str:
    """What decides, or that nothing does, and how far the mix knows it."""
    base = "mix" if said["base"]["mix"] is not None else "found"
    known = [one for one in said["decisions"] if one["lost"] is not None]
    if not known:
        return "No decision of this search can be taken back by itself."
    first = max(known, key=lambda one: one["lost"])
    name, what = first["label"][0].upper() + first["label"][1:], first["found"]
    whose = "supernet" if base == "mix" else "network"
    changed = (
        f"without its {what}" if base == "mix" or first["in_found"]["without"] else f"with other options than {what}"
    )
    value = said["base"][base]["score"]
    lost = f"{changed} the {whose} loses {points(score, value, first['lost'])}"
    chance = first["chance"]
    if first["lost"] <= 0:
        text = f"No decision by itself matters: the {whose} loses nothing without any of them"
    elif chance is not None and first["lost"] < chance:
        text = (
            f"No decision stands out: the most that one takes is that of {first['label']}, {lost}, which may be chance"
        )
    else:
        text = f"{name} decides: {lost}"
    agree = said["agreement"]
    if agree is None:
        return f"{text}."
    tau = f" (Kendall {agree['kendall']:.2f})".replace("0.", ".")
    edges = "edges" if "edge" in first["label"] else "decisions"
    return f"{text}; the mix agrees with the ablation on {agree['same']} of {agree['of']} {edges}{tau}."


def points(score: Score, value: float, lost: float) -> str:
    """A loss of the score as one reads it: of shares in points of a hundred, of others where it goes."""
    if score.name == "accuracy":
        return f"{100 * lost:.1f} points"
    worse = value - lost if score.more else value + lost
    return f"{lost:.3g} of its {score.name}, from {value:.4g} to {worse:.4g}"
