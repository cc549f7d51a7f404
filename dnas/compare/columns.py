"""Rows as a table: all columns for files, those that fit for a terminal."""

from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from dnas.compare.rows import Rank, Row, is_random, is_search
from dnas.reports import statistics
from dnas.reports.plots import ACCURACY, Measure
from dnas.reports.statistics import Difference

TABULATED = "NAS-Bench-201 %"
P = {"p": "p", "seconds": "p at equal s", "flop": "p at equal FLOP"}  # the columns of tests
ALWAYS = ("method", "seeds", "distinct cells", "search s", "tuning")  # also where there is nothing in them
# In a terminal, what comes first of these stays where not all of them fit.
FIRST = ("method", "seeds", "score", TABULATED, "median", "search s", "p", "random at equal s", "p at equal s", "best")
GAP = 2  # blanks between columns
NARROW = 80
FEW = 10  # seconds, below which parts of one are shown
UNITS = {"seconds": "s", "flop": "FLOP"}


def table(rows: list[Row], width: int = NARROW) -> Table:
    """One line per method, best first: those columns that fit into `width` characters, see `cells`; and why some have
    no result."""
    header, lines = cells(rows)
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    score = header[2] if len(header) > 2 else ""
    wanted = [score if name == "score" else name for name in FIRST]
    places = [i for i, name in enumerate(header) if name != "failed"]
    by_rank = sorted(places, key=lambda i: wanted.index(header[i]) if header[i] in wanted else len(wanted))
    chosen, left = list[int](), width
    for i in by_rank:
        if (left := left - widths[i] - GAP * bool(chosen)) < 0 and len(chosen) > 1:
            break
        chosen.append(i)
    chosen.sort()
    said = [f"{row.name}: {row.failed}" for row in rows if row.failed]
    if missing := len(places) - len(chosen):
        said.append(f"{missing} more columns: comparison.csv")
    caption = Text("\n".join(said)) if said else None
    shown = Table(box=None, pad_edge=False, header_style="bold", caption=caption, caption_justify="left")
    for i in chosen:
        shown.add_column(header[i], justify="right" if i else "left", overflow="fold", no_wrap=bool(i))
    for line in lines:
        shown.add_row(*(line[i] for i in chosen))
    return shown


def cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Names of columns, a line a method, best first; columns that no row has anything in are left out.

    What is judged comes first: the networks that were trained, or where none was, what NAS-Bench-201 says: mean and
    standard deviation over the seeds, median, best. Then what random search on the table finds at equal cost, how often
    the method is better than it, and a test; correlations with the ground truth; costs of one search, tuning counted;
    and where random cells joined in, how far the method differs from them, see `statistics.Difference`.
    """
    measure = rows[0].measure if rows else ACCURACY
    scored = f"retrained {'%' if measure == ACCURACY else measure.name}"
    if not any(row.trained for row in rows) and any(row.tabulated for row in rows):
        scored = TABULATED
    tests = _tests(rows)
    lines = [_line(row, scored, tests) for row in rows]
    header = list(dict.fromkeys(name for line in lines for name in line))
    kept = [name for name in header if name in (*ALWAYS, scored) or any(line.get(name, "-") != "-" for line in lines)]
    return kept or ["method", "seeds", scored], [[line.get(name, "-") for name in kept] for line in lines]


def _line(row: Row, scored: str, tests: dict[str, dict[str, Difference]]) -> dict[str, str]:
    """What each column has of a row, all of them in their order."""
    trained = _shown(row.trained, row.measure)
    judged = trained or (row.tabulated if scored == TABULATED else [])
    best = max if not row.trained or row.measure.more else min
    line = {"method": row.name, "seeds": "-" if row.failed else str(len(row.genotypes)), scored: spread(judged)}
    line |= {
        "median": _number(float(np.median(judged)) if judged else None),
        "best": _number(best(judged, default=None)),
    }
    if scored != TABULATED:
        line[TABULATED] = spread(row.tabulated)
    for unit, sign in UNITS.items():
        reference, own = row.equal.get(unit), tests[unit].get(row.name)
        line[f"random at equal {sign}"] = "-" if reference is None else spread(reference.found)
        line[f"better at equal {sign}"] = "-" if own is None else f"{own.superiority:.0%}"
        line[f"p at equal {sign}"] = "-" if own is None else f"{own.p:.3f}"
    for name, ranks in {"mix": row.mix_ranks, "supernet": row.supernet_ranks}.items():
        for place, kind in enumerate(Rank._fields):
            line[f"{name} {kind}"] = _number(float(np.mean([rank[place] for rank in ranks])) if ranks else None)
    cost = row.cost
    line["distinct cells"] = "-" if row.failed else str(len(set(row.genotypes)))
    seconds = cost.get("seconds")
    line["search s"] = "-" if seconds is None else f"{seconds:.0f}" if seconds >= FEW else f"{seconds:.2g}"
    line["search FLOP"] = f"{cost['flop']:.1e}" if "flop" in cost else "-"
    line["tuning"] = str(row.tuning) if is_search(row) and not row.failed else "-"
    own = tests["p"].get(row.name)
    line["better than random"] = "-" if own is None else f"{own.superiority:.0%}"
    line["p"] = "-" if own is None else f"{own.p:.3f}"
    return line | ({"failed": row.failed} if row.failed else {})


def _tests(rows: list[Row]) -> dict[str, dict[str, Difference]]:
    """How methods differ from random cells within the same budget ("p"), and from random search at equal cost, each
    family corrected by itself."""
    drawn = {row.budget: row.judged for row in rows if is_random(row.name)}
    others = {row.name: (row.judged, drawn.get(row.budget, [])) for row in rows if not is_random(row.name)}
    tests = {"p": statistics.differences_each(others)}
    for unit in UNITS:
        pairs = {row.name: (row.tabulated, row.equal[unit].found) for row in rows if unit in row.equal}
        tests[unit] = statistics.differences_each(pairs)
    return tests


def spread(values: Sequence[float]) -> str:
    """`93.52 ± 0.21`: mean and standard deviation."""
    if not values:
        return "-"
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def _shown(scores: list[float], measure: Measure) -> list[float]:
    """As one reads them: shares in percent."""
    return [measure.scale * score for score in scores]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
