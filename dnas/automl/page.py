"""The page of a look at data: what was found, with the images, texts and recordings that show it."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from dnas.automl import histograms, words
from dnas.automl.checks._columns import as_numbers, missing, present
from dnas.automl.checks._groups import share
from dnas.automl.checks.protocol import Columns, Evidence, Finding, Images, Sounds, Texts
from dnas.automl.look import Examined
from dnas.data import joined_notes
from dnas.reports import charts, html
from dnas.reports.mistakes import wave

PIXELS, PIECES = 96, 160  # of a side of a picture; of a drawn sound
SOME, SOME_TEXTS = 16, 6  # examples that are drawn at random
MOST_CLASSES, MOST_COLUMNS = 40, 60  # that are drawn
MOST_SHOWN = 12  # columns of a table of examples
STATES = {"fatal": "failed", "warning": "stopped", "note": "running"}  # how a page colours them


def write(examined: Examined, path: Path) -> Path:
    """One file, which needs nothing else. Errors: `StorageError` if it cannot be written."""
    found, evidence, _ = examined
    distributions = list(_distributions(evidence, found.findings))
    chosen = np.random.default_rng(0).permutation(len(evidence))[: SOME_TEXTS if _is_text(evidence) else SOME]
    shown = {
        "title": f"A look at {evidence.name}",
        "how": found.how,
        "sentence": f"{words.summary(found)} {words.size_of(found)}",
        "tiles": _tiles(examined),
        "choice": found.data,
        "notes": joined_notes(*evidence.notes),
        "findings": [
            {
                "state": STATES[one.severity],
                "severity": one.severity,
                "sentence": one.sentence,
                "action": one.action,
                "examples": [_example(evidence, place) for place in one.examples],
            }
            for one in found.findings
        ],
        "classes": list(_classes(evidence)),
        "classes_note": f"The {MOST_CLASSES} largest of {len(found.classes):,}." * (len(found.classes) > MOST_CLASSES),
        "distributions": distributions[:MOST_COLUMNS],
        "distributions_are": "Columns" if isinstance(evidence.content, Columns) else "Sizes",
        "distributions_note": _note(evidence, len(distributions)),
        "some": [_example(evidence, int(place)) for place in chosen],
        "columns": _column_names(evidence),
    }
    return html.write("findings.html.jinja", path, shown)


def _tiles(examined: Examined) -> dict[str, str]:
    found, evidence, _ = examined
    severities = [one.severity for one in found.findings]
    return {
        **{f"{part} {evidence.what}": f"{found.sizes.get(part, 0) or '-':,}" for part in ("train", "test")},
        f"validation {evidence.what}": f"{found.sizes['valid']:,}" if "valid" in found.sizes else "-",
        "classes": f"{len(found.classes):,}" if found.classes else "-",
        "columns to learn from": f"{found.sizes['columns']:,}" if "columns" in found.sizes else "-",
        "warnings": str(severities.count("warning") + severities.count("fatal")),
    }


def _classes(evidence: Evidence) -> Iterator[Markup]:
    """A chart of how many examples classes have; of a number to predict, its histogram."""
    if not evidence.classes:
        there = evidence.y[~np.isnan(evidence.y)]
        if len(there) and isinstance(evidence.content, Columns):
            yield histograms.of_numbers(evidence.content.target, there, "the target")
        return
    counts = evidence.counts()
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES] if len(counts) > MOST_CLASSES else range(len(counts))
    drawn = [charts.Bar(evidence.classes[i], float(counts[i]), charts.PALETTE[0], f"{counts[i]:,}") for i in order]
    yield charts.bars("", drawn, names=min(150, 12 + 6.5 * max(len(bar.name) for bar in drawn)))


def _distributions(evidence: Evidence, findings: Sequence[Finding]) -> Iterator[Markup]:
    left_out = {name for finding in findings for name in finding.without}
    numbers = {name for finding in findings for name in finding.numbers}
    match evidence.content:
        case Columns() as columns:
            for name, values in columns.items():
                values = as_numbers(values) if name in numbers else values
                there, lacking = present(values), missing(values).sum()
                aside = f"{share(lacking, len(values))} missing" if lacking else ""
                aside = "left out" if name in left_out else aside
                used = name not in left_out
                if values.dtype == float:
                    yield histograms.of_numbers(name, there, aside, used=used)
                else:
                    yield histograms.of_categories(name, there.tolist(), aside, used=used)
        case Images() as images:
            if np.ptp(images.heights) or np.ptp(images.widths):
                yield histograms.of_numbers("height", images.heights, "pixels")
                yield histograms.of_numbers("width", images.widths, "pixels")
            yield histograms.of_numbers("brightness", images.small.mean((1, 2)), "of 255")
        case Texts() as texts:
            yield histograms.of_numbers("words", np.array([len(text.split()) for text in texts.texts]))
        case Sounds() as sounds:
            yield histograms.of_numbers("length", sounds.seconds, "seconds")
            yield histograms.of_numbers("loudness", 20 * np.log10(np.maximum(sounds.levels, 1e-5)), "dB of full scale")


def _note(evidence: Evidence, count: int) -> str:
    if not isinstance(evidence.content, Columns):
        return ""
    first = f"The first {MOST_COLUMNS} of {count:,}. " if count > MOST_COLUMNS else ""
    return f"{first}Grey: left out. Of categories the most frequent, which is named, stands first."


def _is_text(evidence: Evidence) -> bool:
    return isinstance(evidence.content, Texts | Columns)


def _example(evidence: Evidence, place: int) -> dict[str, Any]:
    """What the template shows of an example."""
    number = evidence.y[place]
    label = "" if np.isnan(number) else evidence.classes[int(number)] if evidence.classes else f"{number:g}"
    shown: dict[str, Any] = {"label": label, "caption": evidence.places[place]}
    match evidence.content:
        case Images() as images:
            return shown | {"kind": "image", "seen": _png(images.picture(place))}
        case Sounds() as sounds:
            pieces = np.array_split(sounds.wave(place) / 2**15, PIECES)
            ends = [(piece.min(), piece.max()) for piece in pieces if len(piece)]
            return shown | {"kind": "sound", "seen": wave(np.array(ends))}
        case Texts() as texts:
            return shown | {"kind": "text", "seen": texts.texts[place]}
        case Columns() as columns:
            row = {name: _cell(values[place]) for name, values in columns.items()}
            return shown | {"kind": "row", "seen": {"row": evidence.places[place], columns.target: label} | row}


def _column_names(evidence: Evidence) -> list[str]:
    """Of a table of examples."""
    if not isinstance(evidence.content, Columns):
        return []
    names = [column.name for column in evidence.content.columns]
    return ["row", evidence.content.target, *names[:MOST_SHOWN]]


def _cell(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return "" if isinstance(value, float) and np.isnan(value) else value


def _png(image: np.ndarray) -> str:
    """In base64; of one or three channels, of any other number the first one."""
    from PIL import Image

    picture, file = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0]), io.BytesIO()
    picture.thumbnail((PIXELS, PIXELS))
    picture.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()
