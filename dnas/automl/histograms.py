"""Small pictures of how values are spread, many of them beside each other."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from dnas.reports.charts import PALETTE, SMALL
from dnas.reports.svg import colour, element

USED, LEFT_OUT = PALETTE[0], PALETTE[7]
BINS, MOST = 20, 12  # of numbers; categories that have a bar
BELOW = 16  # for what stands under the bars


def of_numbers(title: str, values: np.ndarray, aside: str = "", *, used: bool = True) -> Markup:
    """values: float [N], without NaN. aside: beside the title. used: whether it is learnt from."""
    counts, edges = np.histogram(values, BINS if len(np.unique(values)) > BINS else max(1, len(np.unique(values))))
    names = [f"{low:.5g} to {high:.5g}: {count:,}" for low, high, count in zip(edges, edges[1:], counts, strict=False)]
    return _bars(title, counts, names, f"{values.min():.5g}", f"{values.max():.5g}", aside, used)


def of_categories(title: str, values: Sequence[str], aside: str = "", *, used: bool = True) -> Markup:
    """The most frequent first."""
    counts = Counter(values)
    drawn = counts.most_common(MOST)
    names = [f"{name}: {count:,}" for name, count in drawn]
    first, rest = drawn[0][0], len(counts) - len(drawn)
    end = f"and {rest:,} more" if rest else ""
    return _bars(title, [count for _, count in drawn], names, _cut(first), end, aside, used)


def _bars(title: str, counts: Sequence[int] | np.ndarray, names: Sequence[str], *texts: str | bool) -> Markup:
    """Bars from the left, and what stands below them on the left and on the right, beside the title."""
    left, right, aside, used = texts
    width, height = SMALL[0], SMALL[1] - BELOW
    step, most, body = width / max(8, len(counts)), max(1, *counts), list[Markup]()
    for place, (count, name) in enumerate(zip(counts, names, strict=True)):
        tall = (height - 4) * count / most
        shape = {"x": place * step, "y": height - tall, "width": step - min(2.0, step / 4), "height": tall}
        style = colour(USED if used else LEFT_OUT)
        body.append(element("rect", element("title", name), class_="bar", style=style, **shape))
    body.append(element("line", class_="grid", x1=0, x2=width, y1=height, y2=height))
    body.append(element("text", left, x=0, y=height + 13))
    body.append(element("text", right, x=width, y=height + 13, text_anchor="end"))
    drawing = element("svg", *body, viewBox=f"0 0 {width} {SMALL[1]}", role="img", aria_label=title)
    return element("figure", element("h4", title, " ", element("span", aside)), drawing, class_="chart")


def _cut(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
