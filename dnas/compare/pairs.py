"""Every two methods of a comparison: whether they differ, and by how much; and all of them by their ranks."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np

from dnas.compare.rows import Row, is_gradient
from dnas.reports import statistics
from dnas.reports.critical_difference import plot_ranks

LEAST_PAIRS = 6  # with fewer, the signed-rank test cannot reach p = 0.05
LEAST_ROWS = 3


def tests(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Names of columns, and a line for every two methods with two scores or more each.

    Searches with gradients that share their seeds are paired, as they see the same data in the same order: by a
    signed-rank test, from 6 seeds on. Others are independent: a permutation test. p_holm: corrected for all lines.
    """
    able = [row for row in rows if len(row.judged) > 1]
    found = []
    for a, b in combinations(able, 2):
        paired = is_gradient(a) and is_gradient(b) and _seeds(a) == _seeds(b) and len(a.judged) >= LEAST_PAIRS
        test = statistics.wilcoxon_p if paired else statistics.permutation_p
        p = test(a.judged, b.judged)
        found.append((a, b, "wilcoxon" if paired else "permutation", p, statistics.superiority(a.judged, b.judged)))
    corrected = statistics.holm([p for *_, p, _ in found])
    lines = [
        [a.name, b.name, str(len(a.judged)), str(len(b.judged)), test, f"{p:.4g}", f"{holm:.4g}", f"{better:.4g}"]
        for (a, b, test, p, better), holm in zip(found, corrected, strict=True)
    ]
    return ["method", "other", "seeds", "other_seeds", "test", "p", "p_holm", "superiority"], lines


def draw_ranks(rows: list[Row], path: Path) -> bool:
    """The average ranks over the seeds of the methods that have equally many scores, where those are three or more;
    gives whether there is such a picture."""
    counts = Counter(len(row.judged) for row in rows if len(row.judged) > 1)
    seeds, methods = max(((count, n) for n, count in counts.items()), default=(0, 0))[::-1]
    if methods < LEAST_ROWS:
        return False
    able = [row for row in rows if len(row.judged) == seeds]
    scores = np.array([row.judged for row in able]).T
    plot_ranks([row.name for row in able], scores, path, f"average ranks over {seeds} seeds, 1 is the best")
    return True


def _seeds(row: Row) -> tuple[int, int]:
    return row.first_seed, len(row.judged)
