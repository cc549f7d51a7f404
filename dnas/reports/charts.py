"""Charts of pages: SVG that needs no script to be read, and beside it its numbers as JSON, which the script shows where
one points. Texts are texts; colours are those of Okabe and Ito, brighter on a dark page.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from dnas.reports.html import as_json, shown

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6F4E9C", "#8A8F98")
LARGE, SMALL = (380, 230), (170, 104)  # of a drawing, in its own units: about the pixels that it has on a page
MOST = 240  # points of a line that a page holds


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
    size: float = 4.0


class Bar(NamedTuple):
    """spread: how far it may be off, or 0."""

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
    marks: Sequence[tuple[str, float]] = (),
) -> Markup:
    """Lines over what `label` counts. unit: of the values, behind them. small: of many such charts, without a legend.
    aside: beside the title. within: the lowest and highest value that is shown. marks: values to compare with, by name."""
    drawn = [_thinned(line) for line in drawn]
    xs = [x for line in drawn for x in line.x]
    frame = _frame(xs, [y for line in drawn for y in line.y] + [mark for _, mark in marks], small, within)
    listed = [line for line in drawn if line.listed]
    places = sorted({float(x) for line in listed for x in line.x})
    data = {
        "label": label,
        "unit": unit,
        "plot": frame[:4],
        "domain": frame.x,
        "x": places,
        "series": [
            {"name": line.name, "colour": line.colour, "values": _at_places(line, places)} for line in listed
        ],
    }
    body = [*_axes(frame, small, "" if small else label)]
    for name, mark in marks:
        y = frame.at(frame.x[0], mark)[1]
        body.append(f'<line class="rule" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text x="{frame.left + 4}" y="{y - 4:.1f}">{escape(name)}</text>')
    for line in drawn:
        body.extend(_line(line, frame))
    legend = Markup("") if small or len(listed) < 2 and not drawn[0].name else _legend(listed, unit)
    return _figure(title, SMALL if small else LARGE, body, data, legend, aside)


def scatter(
    title: str, points: Sequence[Point], *, x_label: str, y_label: str = "", log: bool = False, rule: float | None = None
) -> Markup:
    """Points by two numbers; those that come first lie below. log: the first one's powers of ten. rule: a line there."""
    xs = [math.log10(point.x) if log else point.x for point in points]
    frame = _frame(xs, [point.y for point in points] + ([] if rule is None else [rule]), False, None, margin=0.06)
    body, data = [*_axes(frame, False, x_label, log)], list[dict[str, object]]()
    if rule is not None:
        y = frame.at(frame.x[0], rule)[1]
        body.append(f'<line class="rule" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for point, x in zip(points, xs, strict=True):
        across, down = frame.at(x, point.y)
        faint = ' opacity="0.45"' if point.size < 3 else ""
        body.append(
            f'<circle class="dot" style="--c:{point.colour}" cx="{across:.1f}" cy="{down:.1f}" r="{point.size}"{faint}/>'
        )
        texts = point.texts or (f"{x_label}: {shown(point.x)}", f"{y_label or title}: {shown(point.y)}")
        data.append({"at": [across, down], "name": point.name, "colour": point.colour, "texts": texts})
    kinds = {point.name: point for point in points}
    legend = _keys((point.colour, "", name, "") for name, point in kinds.items()) if len(kinds) < 9 else Markup("")
    return _figure(title, LARGE, body, {"plot": frame[:4], "points": data}, legend, "")


def bars(title: str, drawn: Sequence[Bar], *, wide: float = 150) -> Markup:
    """Horizontal bars from 0, the first on top, each with its name and its text. wide: of the names."""
    step, width = 20, LARGE[0]
    low, high = min(0.0, *(bar.value for bar in drawn)), max(0.0, *(bar.value for bar in drawn))
    room = width - wide - 62
    scale = room / ((high - low) or 1)
    zero, body = wide + 4 - low * scale, list[str]()
    for place, bar in enumerate(drawn):
        y, length = place * step + 4, abs(bar.value) * scale
        left = zero - (length if bar.value < 0 else 0)
        name, text = escape(_cut(bar.name, int(wide / 6))), escape(bar.text or shown(bar.value))
        body.append(f'<text x="{wide - 2}" y="{y + 10}" text-anchor="end">{name}</text>')
        body.append(
            f'<rect class="bar" style="--c:{bar.colour}" x="{left:.1f}" y="{y}" width="{length:.1f}" height="13" rx="2">'
            f"<title>{escape(bar.name)}: {text}</title></rect>"
        )
        body.append(f'<text x="{zero + max(bar.value, 0) * scale + 6:.1f}" y="{y + 10}">{text}</text>')
        if bar.spread:
            middle, off = zero + bar.value * scale, bar.spread * scale
            body.append(
                f'<line class="cross" x1="{middle - off:.1f}" x2="{middle + off:.1f}" y1="{y + 6.5}" y2="{y + 6.5}"/>'
            )
    body.append(f'<line class="cross" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{len(drawn) * step + 2}"/>')
    return _figure(title, (width, len(drawn) * step + 4), body, None, Markup(""), "")


def spark(y: Sequence[float], colour: str = PALETTE[0]) -> Markup:
    """A line of a few pixels, without axes."""
    line = _thinned(Line("", range(len(y)), y, colour))
    low, high = _ends(line.y)
    frame = _Frame(2, 2, 96, 22, (0, max(len(y) - 1, 1)), (low, high))
    body = Markup("".join(_line(line, frame)))
    return Markup('<svg viewBox="0 0 100 26" width="100" height="26" aria-hidden="true">{}</svg>').format(body)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high, steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(
    xs: Iterable[float], ys: Iterable[float], small: bool, within: tuple[float, float] | None, margin: float = 0.0
) -> _Frame:
    (left, right), (low, high) = _ends(xs), within or _ends(ys)
    if within is None:
        span = (high - low) or abs(high) * 0.1 or 1.0
        low, high = (0.0 if 0 <= low < span * 0.3 else low - 0.05 * span), high + 0.06 * span
    side = margin * (right - left)
    width, height = SMALL if small else LARGE
    gutter = 26 if small else 46
    place = (gutter, 4.0, width - gutter - 6, height - 22) if small else (gutter, 6.0, width - gutter - 8, height - 44)
    return _Frame(*place, (left - side, right + side), (low, high))


def _axes(frame: _Frame, small: bool, label: str, log: bool = False) -> Iterator[str]:
    bottom = frame.top + frame.height
    across = ticks(*frame.y, most=2 if small else 5)
    for value, text in zip(across, _numbers(across), strict=True):
        y = frame.at(frame.x[0], value)[1]
        yield f'<line class="grid" x1="{frame.left}" x2="{frame.left + frame.width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{frame.left - 5}" y="{y + 3.7:.1f}" text-anchor="end">{text}</text>'
    marks = [*frame.x] if small else ticks(*frame.x, most=6)
    if not log:
        marks = [mark for mark in marks if mark == round(mark)] or marks
    else:
        marks = [mark for mark in marks if mark == round(mark)] or [*frame.x]
    texts = [shown(float(f"{10**mark:.2g}")) for mark in marks] if log else _numbers(marks)
    for number, (value, text) in enumerate(zip(marks, texts, strict=True)):
        x = frame.at(value, frame.y[0])[0]
        anchor = ("start", "end")[number] if small and len(marks) == 2 else "middle"
        yield f'<text x="{x:.1f}" y="{bottom + 14:.1f}" text-anchor="{anchor}">{text}</text>'
    if label:
        middle = frame.left + frame.width / 2
        yield f'<text x="{middle:.1f}" y="{bottom + 31:.1f}" text-anchor="middle">{escape(label)}</text>'


def _numbers(values: Sequence[float]) -> list[str]:
    """Marks of an axis, all with as many decimals as they need to be told apart."""
    for decimals in range(7):
        texts = [f"{value:,.{decimals}f}" for value in values]
        if all(abs(float(text.replace(",", "")) - v) < 1e-9 for text, v in zip(texts, values, strict=True)):
            largest = max(map(abs, values), default=0)
            return [_short(value) for value in values] if largest >= 1e4 else texts
    return [f"{value:.1e}" if value else "0" for value in values]


def _short(value: float) -> str:
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def _line(line: Line, frame: _Frame) -> Iterator[str]:
    """A path, broken where there is nothing; a dot where a point stands alone."""
    path, pieces = list[tuple[float, float]](), list[list[tuple[float, float]]]()
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(y):
            path.append(frame.at(x, min(max(y, frame.y[0]), frame.y[1])))
        elif path:
            pieces.append(path)
            path = []
    pieces += [path] if path else []
    for piece in pieces:
        if len(piece) == 1:
            (x, y) = piece[0]
            yield f'<circle class="dot" style="--c:{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
            continue
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
        yield f'<polyline class="series {line.style}" style="--c:{line.colour}" points="{points}"/>'


def _legend(drawn: Sequence[Line], unit: str) -> Markup:
    last = (next((y for y in reversed(line.y) if math.isfinite(y)), math.nan) for line in drawn)
    return _keys(
        (line.colour, line.style, line.name, f"{shown(float(y))}{unit}") for line, y in zip(drawn, last, strict=True)
    )


def _keys(entries: Iterable[tuple[str, str, str, str]]) -> Markup:
    """A legend: (colour, style, name, what stands behind it)."""
    entry = Markup(
        '<li><svg viewBox="0 0 22 8" aria-hidden="true"><polyline class="series {}" style="--c:{}" points="0,4 22,4"/>'
        "</svg>{} <b>{}</b></li>"
    )
    keys = Markup("").join(entry.format(style, colour, name, value) for colour, style, name, value in entries)
    return Markup('<ul class="legend">{}</ul>').format(keys)


def legend(entries: Iterable[tuple[str, str, str]]) -> Markup:
    """Of many small charts: (colour, style, name)."""
    return _keys((*entry, "") for entry in entries)


def _figure(
    title: str, size: tuple[float, float], body: Sequence[str], data: object, legend: Markup, aside: str
) -> Markup:
    numbers = Markup('<script type="application/json">{}</script>').format(as_json(data)) if data else Markup("")
    beside = Markup(" <span>{}</span>").format(aside) if aside else Markup("")
    heading = Markup("<h4>{}{}</h4>").format(title, beside) if title else Markup("")
    return Markup(
        '<figure class="chart">{}<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}{}</figure>'
    ).format(heading, *size, title, Markup("".join(body)), legend, numbers)


def _thinned(line: Line) -> Line:
    """With at most so many points, the last among them."""
    if len(line.x) <= MOST:
        return line
    step = -(-len(line.x) // MOST)
    kept = [*range(0, len(line.x) - 1, step), len(line.x) - 1]
    return line._replace(x=[line.x[i] for i in kept], y=[line.y[i] for i in kept])


def _at_places(line: Line, places: Sequence[float]) -> list[float | None]:
    known = {float(x): float(y) for x, y in zip(line.x, line.y, strict=True)}
    return [known.get(place) for place in places]


def _ends(values: Iterable[float]) -> tuple[float, float]:
    finite = [float(value) for value in values if math.isfinite(value)] or [0.0]
    return min(finite), max(finite)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
