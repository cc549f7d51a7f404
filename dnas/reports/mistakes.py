"""What a page shows of a test: what was taken for what, and the worst mistakes, of numbers those that are farthest off,
of translations those that are least alike. It is read from test.json, see `loading/mistakes.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from dnas.errors import StorageError
from dnas.files import read_json
from dnas.reports.charts import PALETTE
from dnas.reports.svg import colour, element, path

FILE = "test.json"
HINT = "remove it, and test again with dnas test"
MOST_CLASSES = 16  # of a matrix; of more only what is confused most often is listed
MOST_PAIRS = 12
SOUND = (160, 48)


def examined(folder: Path) -> dict[str, Any] | None:
    """For the template; None where nothing was tested. Errors: `StorageError` for what is damaged."""
    found = read_json(folder / FILE, dict, HINT)
    if found is None:
        return None
    try:
        about = {"data": str(found["data"]), "what": str(found["what"]), "seed": int(found["seed"])}
        if "classes" in found:
            return about | _of_classes(found)
        return about | (_of_numbers(found) if "target" in found else _of_translations(found))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StorageError(f"{folder / FILE} is damaged: {HINT}.") from error


def _of_classes(found: dict[str, Any]) -> dict[str, Any]:
    classes, confusion = list(map(str, found["classes"])), np.array(found["confusion"], int)
    if confusion.shape != (len(classes), len(classes)):
        raise ValueError
    return {
        "kind": "classes",
        "count": int(confusion.sum()),
        "right": int(confusion.trace()),
        "classes": classes,
        "matrix": _matrix(confusion, classes) if len(classes) <= MOST_CLASSES else [],
        "pairs": _pairs(confusion, classes),
        "per_class": _per_class(confusion, classes),
        "mistakes": [_mistake(one, classes) for one in found["mistakes"]],
    }


def _of_numbers(found: dict[str, Any]) -> dict[str, Any]:
    def one(miss: dict[str, Any]) -> dict[str, Any]:
        true, said, row = float(miss["true"]), float(miss["said"]), miss.get("row")
        seen = {"kind": "row", "seen": row} if isinstance(row, dict) else {"kind": "none", "seen": ""}
        return {"place": _place(miss), "true": true, "said": said, "error": abs(said - true)} | seen

    measures = [[name, float(value)] for name, value in found["measures"].items()]
    return {
        "kind": "numbers",
        "count": int(found["count"]),
        "target": str(found["target"]),
        "measures": measures,
        "mistakes": list(map(one, found["mistakes"])),
    }


def _of_translations(found: dict[str, Any]) -> dict[str, Any]:
    def one(pair: dict[str, Any]) -> dict[str, Any]:
        texts = {name: str(pair[name]) for name in ("text", "reference", "written")}
        return {"place": _place(pair)} | texts | {name: f"{float(pair[name]):.1f}" for name in ("chrf", "bleu")}

    signatures = found["signatures"]
    measures = [[name, float(value), signatures.get(name, "")] for name, value in found["measures"].items()]
    return {
        "kind": "translations",
        "count": int(found["count"]),
        "measures": measures,
        "mistakes": list(map(one, found["mistakes"])),
    }


def _place(mistake: dict[str, Any]) -> str:
    """In the part, from 1 on."""
    return f"{int(mistake['place']) + 1:,}"


def _matrix(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each class: how many of it were taken for which, and which share of it that is in percent."""
    shares = 100 * confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    return [
        {"class": name, "cells": [(int(n), round(float(s))) for n, s in zip(confusion[i], shares[i], strict=True)]}
        for i, name in enumerate(classes)
    ]


def _pairs(confusion: np.ndarray, classes: Sequence[str]) -> list[list[Any]]:
    """Which classes were taken for which most often."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    rows, columns = np.unravel_index(order, wrong.shape)
    return [
        [classes[i], classes[j], int(wrong[i, j]), f"{100 * wrong[i, j] / confusion[i].sum():.1f} %"]
        for i, j in zip(rows, columns, strict=True)
        if wrong[i, j]
    ]


def _per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[list[Any]]:
    found = []
    for i, name in enumerate(classes):
        own, taken, right = int(confusion[i].sum()), int(confusion[:, i].sum()), int(confusion[i, i])
        found.append([name, own, right, *(f"{100 * right / n:.1f}" if n else "-" for n in (own, taken))])
    return found


def _mistake(found: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    said = {name: classes[int(found[name])] for name in ("true", "taken")}
    said |= {name: f"{100 * float(found[name]):.1f} %" for name in ("probability", "own")}
    said["place"] = _place(found)
    match found:
        case {"image": str(image)} if image.isascii() and '"' not in image:
            return said | {"kind": "image", "seen": image}
        case {"sound": [*pieces]} if pieces:
            return said | {"kind": "sound", "seen": wave(np.array(pieces, float))}
        case {"text": str(text)}:
            return said | {"kind": "text", "seen": text}
        case {"row": dict(row)}:
            return said | {"kind": "row", "seen": row}
    return said | {"kind": "none", "seen": ""}


def wave(pieces: np.ndarray) -> Markup:
    """Of a sound [pieces, 2], lowest and highest: its envelope, as high as it is loud."""
    (width, height), loudest = SOUND, max(float(np.abs(pieces).max()), 1e-6)
    x = np.linspace(0, width, len(pieces))
    low, high = (height / 2 * (1 - 0.95 * pieces[:, side] / loudest) for side in (0, 1))
    corners = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
    shape = element("polygon", class_="dot", style=colour(PALETTE[0]), points=path(corners))
    return element("svg", shape, viewBox=f"0 0 {width} {height}", role="img", aria_label="waveform")
