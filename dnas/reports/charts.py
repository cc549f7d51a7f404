"""Charts of pages: SVG that needs no script to be read, and beside it its numbers as JSON, which the script shows where
one points. Texts are texts; colours are those of Okabe and Ito, brighter on a dark page.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from dnas.reports.html import as_json, shown
from dnas.reports.svg import colour, element, path

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6F4E9C", "#8A8F98")
LARGE, SMALL = (380, 230), (170, 104)  # of a drawing, in its own units: about the pixels that it has on a page
MOST_POWERS = 5
FLAT = 1e-3  # of the size of values: an axis shows no smaller differences, whose marks could not be told apart
COUNTED = ("epoch", "step", "evaluation")  # of which there are no halves
MOST = 240  # points of a line that a page holds
STEP, NUMBERS = 20, 62  # of bars: from one to the next, and the width of what stands behind them


class Line(NamedTuple):
    """x, y [N], nan where there is nothing. style: of thin (a seed of several), strong, dashed, dotted. listed: whether
    the legend and the script name it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    style: str = ""
    listed: bool = True


class Point(NamedTuple):
    """texts: what the script says of it, a line each. size: its radius."""

    name: str
    x: float
    y: float
    colour: str
    texts: tuple[str, ...] = ()
    size: float = 4.5


class Bar(NamedTuple):
    """text: what stands behind it. spread: how far the value may be off, or 0."""

    name: str
    value: float
    colour: str
    text: str = ""
    spread: float = 0.0


class _Frame(NamedTuple):
    """Where a chart draws, and what its corners stand for."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0]) if self.x[1] > self.x[0] else 0.5
        up = (y - self.y[0]) / (self.y[1] - self.y[0]) if self.y[1] > self.y[0] else 0.5
        return self.left + across * self.width, self.top + (1 - up) * self.height


def lines(
    title: str,
    drawn: Sequence[Line],
    *,
    label: str = "epoch",
    unit: str = "",
    small: bool = False,
    aside: str = "",
    within: tuple[float, float] | None = None,
) -> Markup:
    """Lines over what `label` counts. unit: of the values, behind them. small: of many such charts, without a legend.
    aside: beside the title. within: the lowest and the highest value that are shown."""
    drawn = [_thinned(line) for line in drawn]
    xs, ys = ([value for line in drawn for value in getattr(line, axis)] for axis in "xy")
    frame = _frame(xs, ys, small=small, within=within)
    listed = [line for line in drawn if line.listed]
    places = sorted({float(x) for line in listed for x in line.x})
    data = {
        "label": label,
        "unit": unit,
        "plot": frame[:4],
        "domain": frame.x,
        "x": places,
        "series": [{"name": line.name, "colour": line.colour, "values": _at(line, places)} for line in listed],
    }
    body = [*_axes(frame, small, "" if small else label), *(part for line in drawn for part in _line(line, frame))]
    called = ["last" if line.name == title else line.name for line in listed]
    entries = (
        (line.colour, line.style, name, shown(_last(line)) + unit) for line, name in zip(listed, called, strict=True)
    )
    return _figure(title, SMALL if small else LARGE, body, data, Markup("") if small else legend(entries), aside)


def scatter(
    title: str,
    points: Sequence[Point],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
    cloud: tuple[str, Sequence[tuple[float, float]]] = ("", ()),
) -> Markup:
    """Points by two numbers, those that come first below. log: powers of ten of the first number. cloud: a name, and
    many more points, without texts, behind them. A name has a place in the legend, with all its points."""
    across = math.log10 if log else float
    placed = [(across(point.x), point.y) for point in points]
    behind = [(across(x), y) for x, y in cloud[1]]
    frame = _frame(*zip(*placed, *behind, strict=True), small=False, margin=0.05)
    body, data = [*_axes(frame, False, x_label, log)], list[dict[str, Any]]()
    if behind:
        dots = "".join(f"M{x:.1f},{y:.1f}h0" for x, y in (frame.at(*place) for place in behind))
        body.append(element("path", class_="cloud", d=dots))
    for point, place in zip(points, placed, strict=True):
        x, y = frame.at(*place)
        body.append(element("circle", class_="dot", style=colour(point.colour), cx=x, cy=y, r=point.size))
        texts = point.texts or (f"{x_label}: {shown(point.x)}", f"{y_label}: {shown(point.y)}")
        data.append({"at": [x, y], "name": point.name, "colour": point.colour, "texts": texts})
    kinds = {cloud[0]: PALETTE[7]} if behind else {}
    kinds |= {point.name: point.colour for point in points}
    entries = legend(((drawn, "block", name, "") for name, drawn in kinds.items()) if len(kinds) < 9 else ())
    return _figure(title, LARGE, body, {"plot": frame[:4], "points": data}, entries, "")


def bars(title: str, drawn: Sequence[Bar], *, names: float = 150) -> Markup:
    """Horizontal bars from 0, the first on top, each with its name and its text. names: how wide these may be."""
    width, height = LARGE[0], len(drawn) * STEP + 4
    ends = [(bar.value - bar.spread, bar.value + bar.spread) for bar in drawn]
    low, high = (pick(0.0, *(pick(end) for end in ends)) for pick in (min, max))
    scale = (width - names - NUMBERS) / ((high - low) or 1)
    zero, body = names + 4 - low * scale, list[Markup]()
    for place, bar in enumerate(drawn):
        y, end, text = place * STEP + 4, zero + bar.value * scale, bar.text or shown(bar.value)
        body.append(element("text", _cut(bar.name, int(names / 6)), x=names - 2, y=y + 10, text_anchor="end"))
        shape = {"x": min(zero, end), "y": y, "width": abs(end - zero), "height": 13, "rx": 2}
        body.append(
            element("rect", element("title", f"{bar.name}: {text}"), class_="bar", style=colour(bar.colour), **shape)
        )
        off = bar.spread * scale
        body.append(element("text", text, x=max(zero, end) + off + 6, y=y + 10))
        if off:
            body.append(element("line", class_="cross", x1=end - off, x2=end + off, y1=y + 6.5, y2=y + 6.5))
    body.append(element("line", class_="cross", x1=zero, x2=zero, y1=0, y2=height - 2))
    return _figure(title, (width, height), body, None, Markup(""), "")


def dots(title: str, rows: Sequence[tuple[str, Sequence[float]]], *, names: float = 130) -> Markup:
    """A line for each name with a dot for each of its values, a stroke at their mean, and mean and deviation behind it;
    the first on top."""
    width, height = LARGE[0], len(rows) * STEP + 26
    low, high = _ends(value for _, values in rows for value in values)
    margin = 0.05 * (high - low) or 0.5
    frame = _Frame(names + 8, 2, width - names - 96, height - 26, (low - margin, high + margin), (len(rows), 0))
    body, marks = list[Markup](), ticks(*frame.x, most=3)
    for value, text in zip(marks, _numbers(marks), strict=True):
        x = frame.at(value, 0)[0]
        body.append(element("line", class_="grid", x1=x, x2=x, y1=0, y2=height - 22))
        body.append(element("text", text, x=x, y=height - 8, text_anchor="middle"))
    for place, (name, values) in enumerate(rows):
        y = place * STEP + STEP / 2 + 2
        called = _cut(name, int(names / 6)), element("title", name)
        body.append(element("text", *called, x=names, y=y + 4, text_anchor="end"))
        body.extend(_values(name, values, y, width, frame))
    return _figure(title, (width, height), body, None, Markup(""), "")


def _values(name: str, values: Sequence[float], y: float, right: float, frame: _Frame) -> Iterator[Markup]:
    for value in values:
        said, x = element("title", f"{name}: {shown(value)}"), frame.at(value, 0)[0]
        yield element("circle", said, class_="dot", style=colour(PALETTE[0]), cx=x, cy=y, r=4, opacity="0.65")
    if values:
        mean = statistics.fmean(values)
        spread = f" \N{PLUS-MINUS SIGN} {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        x = frame.at(mean, 0)[0]
        yield element("line", class_="mean", x1=x, x2=x, y1=y - 7, y2=y + 7)
        yield element("text", f"{mean:.2f}{spread}", x=right, y=y + 4, text_anchor="end")


def spark(values: Sequence[float], drawn: str = PALETTE[0]) -> Markup:
    """A line of a few pixels, without axes."""
    line = _thinned(Line("", range(len(values)), values, drawn))
    frame = _Frame(2, 2, 96, 22, (0, max(len(values) - 1, 1)), _ends(line.y))
    return element("svg", *_line(line, frame), viewBox="0 0 100 26", width=100, height=26, aria_hidden="true")


def legend(entries: Iterable[tuple[str, str, str, str]]) -> Markup:
    """(colour, style of the line or "block", name, what stands behind it) of everything that is drawn."""
    keys = [
        element("li", _key(drawn, style), name, *([" ", element("b", value)] if value else []))
        for drawn, style, name, value in entries
    ]
    return element("ul", *keys, class_="legend") if keys else Markup("")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high, steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Where round numbers lie between powers of ten: one, two and five of each, or fewer where those are many."""
    for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1,)):
        marks = [n + math.log10(k) for n in range(math.floor(low), math.ceil(high) + 1) for k in factors]
        inside = [mark for mark in marks if low <= mark <= high]
        if len(inside) <= MOST_POWERS:
            break
    return inside


def _key(drawn: str, style: str) -> Markup:
    """A piece of a line, or a block."""
    mark = {"class_": f"series {style}", "style": colour(drawn), "points": "0,4 22,4"}
    block = {"class_": "dot", "style": colour(drawn), "cx": 11, "cy": 4, "r": 4}
    inside = element("circle", **block) if style == "block" else element("polyline", **mark)
    return element("svg", inside, viewBox="0 0 22 8", aria_hidden="true")


def _frame(
    xs: Iterable[float],
    ys: Iterable[float],
    *,
    small: bool,
    within: tuple[float, float] | None = None,
    margin: float = 0.0,
) -> _Frame:
    (left, right), (low, high) = _ends(xs), within or _ends(ys)
    if within is None:
        span = max(high - low, FLAT * max(abs(low), abs(high))) if high > low else abs(high) * 0.1 or 1.0
        low, high = (0.0 if 0 <= low < span * 0.3 else low - 0.05 * span), high + 0.06 * span
    side = margin * (right - left)
    width, height = SMALL if small else LARGE
    gutter, below = (26, 22) if small else (46, 44)
    return _Frame(gutter, 5, width - gutter - 8, height - below, (left - side, right + side), (low, high))


def _axes(frame: _Frame, small: bool, label: str, log: bool = False) -> Iterator[Markup]:
    up = ticks(*frame.y, most=2 if small else 5)
    for value, text in zip(up, _numbers(up), strict=True):
        y = frame.at(frame.x[0], value)[1]
        yield element("line", class_="grid", x1=frame.left, x2=frame.right, y1=y, y2=y)
        yield element("text", text, x=frame.left - 5, y=y + 3.7, text_anchor="end")
    along = sorted({*frame.x}) if small else _powers(*frame.x) if log else ticks(*frame.x, most=6)
    if not log and label in COUNTED:
        along = [mark for mark in along if mark == round(mark)] or along
    texts = [_short(10**mark) for mark in along] if log else _numbers(along)
    for place, (value, text) in enumerate(zip(along, texts, strict=True)):
        anchor = ("start", "end")[place] if small and len(along) == 2 else "middle"
        yield element("text", text, x=frame.at(value, frame.y[0])[0], y=frame.bottom + 14, text_anchor=anchor)
    if label:
        yield element("text", label, x=frame.left + frame.width / 2, y=frame.bottom + 32, text_anchor="middle")


def _numbers(values: Sequence[float]) -> list[str]:
    """Marks of an axis, all with as many decimals as they need to be told apart."""
    if max(map(abs, values), default=0) >= 1e4:
        return [_short(value) for value in values]
    for decimals in range(7):
        texts = [f"{value:,.{decimals}f}" for value in values]
        if all(abs(float(text.replace(",", "")) - v) < 1e-9 for text, v in zip(texts, values, strict=True)):
            return texts
    return [f"{value:.1e}" if value else "0" for value in values]


def _short(value: float) -> str:
    for unit, name in ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def _line(line: Line, frame: _Frame) -> Iterator[Markup]:
    """A path, broken where there is nothing; a dot where a point stands alone."""
    piece = list[tuple[float, float]]()
    for x, y in [*zip(line.x, line.y, strict=True), (0.0, math.nan)]:
        if math.isfinite(y):
            piece.append(frame.at(x, min(max(y, frame.y[0]), frame.y[1])))
            continue
        if len(piece) == 1:
            yield element("circle", class_="dot", style=colour(line.colour), cx=piece[0][0], cy=piece[0][1], r=2.5)
        elif piece:
            drawn = f"series {line.style}".strip()
            yield element("polyline", class_=drawn, style=colour(line.colour), points=path(piece))
        piece = []


def _figure(
    title: str, size: tuple[float, float], body: Sequence[Markup], data: Any, entries: Markup, aside: str
) -> Markup:
    beside = [" ", element("span", aside)] if aside else []
    drawing = element("svg", *body, viewBox=f"0 0 {size[0]} {size[1]}", role="img", aria_label=title)
    numbers = element("script", as_json(data), type="application/json") if data else ""
    heading = element("h4", title, *beside) if title else ""
    return element("figure", heading, drawing, entries, numbers, class_="chart")


def _thinned(line: Line) -> Line:
    """With at most so many points, the last among them."""
    if len(line.x) <= MOST:
        return line
    step = -(-len(line.x) // MOST)
    kept = [*range(0, len(line.x) - 1, step), len(line.x) - 1]
    return line._replace(x=[line.x[i] for i in kept], y=[line.y[i] for i in kept])


def _at(line: Line, places: Sequence[float]) -> list[float | None]:
    known = {float(x): float(y) for x, y in zip(line.x, line.y, strict=True)}
    return [known.get(place) for place in places]


def _last(line: Line) -> float:
    return next((float(y) for y in reversed(line.y) if math.isfinite(y)), math.nan)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    finite = [float(value) for value in values if math.isfinite(value)] or [0.0]
    return min(finite), max(finite)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
