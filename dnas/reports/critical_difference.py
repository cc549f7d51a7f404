"""Several methods over several data sets or seeds, by their ranks: Demsar, JMLR 7, 2006.

In every block (a seed, a data set) the methods are ranked, equal ones share a rank. Friedman's test says whether the
average ranks differ at all; Nemenyi's critical difference, from how far on two of them do:

    CD = q sqrt(k (k + 1) / (6 N)),   q = the quantile of the studentized range of k for infinitely many, over sqrt(2)

Axis letters: N blocks, k methods.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas.reports.figures import new_figure, save

LEVEL = 0.05


class Ranks(NamedTuple):
    """average: [k], 1 the best. p: Friedman's. critical: two methods whose average ranks are further apart differ, at
    the level of 5 %."""

    average: np.ndarray
    p: float
    critical: float


def ranks(scores: np.ndarray) -> Ranks:
    """scores: [N, k], more is better; two blocks and three methods, or more."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range  # 0.6 s

    blocks, methods = scores.shape
    each = rankdata(-scores, axis=1)
    alike = (np.ptp(each, axis=1) == 0).all()
    p = 1.0 if alike else float(friedmanchisquare(*scores.T).pvalue)
    q = studentized_range.ppf(1 - LEVEL, methods, np.inf) / np.sqrt(2)
    return Ranks(each.mean(0), p, float(q * np.sqrt(methods * (methods + 1) / (6 * blocks))))


def groups(found: Ranks) -> list[tuple[float, float]]:
    """From which average rank to which methods do not differ: the widest such spans, none within another."""
    ordered, spans = np.sort(found.average), list[tuple[float, float]]()
    for low in ordered:
        high = ordered[ordered <= low + found.critical].max()
        if high > low and not any(begin <= low and high <= end for begin, end in spans):
            spans.append((float(low), float(high)))
    return spans


def plot_ranks(names: Sequence[str], scores: np.ndarray, path: str | Path, title: str = "") -> Ranks:
    """An axis of average ranks, the best to the left, a name for each method, bars over those that do not differ."""
    found = ranks(scores)
    order, methods = np.argsort(found.average, kind="stable"), len(names)
    spans, half = groups(found), -(-methods // 2)
    top = 0.45 + 0.16 * len(spans)
    figure = new_figure(8.5, 1.1 + 0.24 * half + 0.14 * len(spans))
    axis = figure.subplots()
    axis.set_xlim(1 - 0.05 * methods, methods + 0.05 * methods)
    axis.set_ylim(-(top + 0.35 * half), 1.1)
    axis.plot([1, methods], [0, 0], color="#333333", linewidth=1)
    for rank in range(1, methods + 1):
        axis.plot([rank, rank], [0, 0.1], color="#333333", linewidth=1)
        axis.text(rank, 0.16, str(rank), ha="center", va="bottom", fontsize=8)
    for place, method in enumerate(order):
        rank, left = found.average[method], place < half
        depth = top + 0.35 * (place if left else methods - 1 - place)
        edge = 1 - 0.02 * methods if left else methods + 0.02 * methods
        axis.plot([rank, rank, edge], [0, -depth, -depth], color="#8a9bb0", linewidth=0.9)
        name = f"{names[method]}  {rank:.2f}" if left else f"{rank:.2f}  {names[method]}"
        axis.text(edge, -depth, name, ha="right" if left else "left", va="center", fontsize=9)
    for number, (low, high) in enumerate(spans):
        height = -0.2 - 0.16 * number
        axis.plot([low - 0.03, high + 0.03], [height, height], color="#d62728", linewidth=3, solid_capstyle="butt")
    shown = min(found.critical, methods - 1)
    axis.plot([1, 1 + shown], [0.8, 0.8], color="#d62728", linewidth=2)
    more = "" if found.critical <= methods - 1 else ", more than there are ranks"
    label = f"critical difference {found.critical:.2f}{more}; Friedman p = {found.p:.3g}"
    axis.text(1, 0.88, label, fontsize=8, va="bottom")
    axis.set_title(title, fontsize=10, loc="left")
    axis.axis("off")
    save(figure, path)
    return found
