"""The worst mistakes of a network on a part of its data, and the file that its page shows them from.

test.json: {"data", "what", "seed", "measures", "mistakes"} and of classes "classes", "confusion" [classes, classes],
mistakes: [{"place", "true", "taken", "probability", "own", and one of "image" (a PNG in base64), "sound" (lowest and
highest sample of pieces), "text", "row"}]; of numbers "target", "count", mistakes: [{"place", "true", "said", "row"}];
of translations "signatures", "count", mistakes: [{"place", "text", "reference", "written", "chrf", "bleu"}].
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas.files import atomic_write
from dnas.tasks.showing import Showing
from dnas.tasks.translation_scores import Compared
from dnas.types import Tree

FILE = "test.json"
# What networks read: what is tested.
KINDS = {"images": "images", "sounds": "recordings", "features": "rows", "tokens": "texts", "pairs": "texts"}
MOST = 24  # mistakes
PIECES = 160  # of a sound
PIXELS = 160  # of a side of an image


class Mistake(NamedTuple):
    """An example, by its place in the part, that was not taken for what it is. probability: of what it was taken for;
    own: of its class. seen: as of `Showing`; empty where it cannot be shown."""

    place: int
    true: int
    taken: int
    probability: float
    own: float
    seen: Mapping[str, Any]


class Miss(NamedTuple):
    """An example, by its place in the part, whose number is another than what was said, both in its unit. seen: as of
    `Mistake`."""

    place: int
    true: float
    said: float
    seen: Mapping[str, Any]

    @property
    def error(self) -> float:
        """How far off."""
        return abs(self.said - self.true)


class Unlike(NamedTuple):
    """A text, by its place in the part, whose translation is unlike its reference."""

    place: int
    pair: Compared


def worst(task: Any, part: str, first: int, x: Tree, classes: np.ndarray, answers: np.ndarray) -> list[Mistake]:
    """Of some examples x [N, ...] of a part, from place `first` on, with their classes [N] and the probabilities
    [N, classes] that they were given: those whose class was thought least likely."""
    own = np.take_along_axis(answers, classes[:, None], -1)[:, 0]
    wrong = np.flatnonzero(answers.argmax(-1) != classes)
    found = []
    for row in wrong[np.argsort(own[wrong], kind="stable")[:MOST]]:
        example, taken = jax.tree.map(lambda leaf: leaf[row], x), int(answers[row].argmax())  # noqa: B023
        seen = task.seen(part, first + int(row), example) if isinstance(task, Showing) else {}
        numbers = float(answers[row, taken]), float(own[row])
        found.append(Mistake(first + int(row), int(classes[row]), taken, *numbers, seen))
    return found


def farthest(task: Any, part: str, x: Tree, true: np.ndarray, said: np.ndarray) -> tuple[Miss, ...]:
    """Of all examples x [N, ...] of a part, with their numbers [N] and what was said [N], those farthest off."""
    found = []
    for row in map(int, np.argsort(-np.abs(said - true), kind="stable")[:MOST]):
        example = jax.tree.map(lambda leaf: leaf[row], x)  # noqa: B023
        seen = task.seen(part, row, example) if isinstance(task, Showing) else {}
        found.append(Miss(row, float(true[row]), float(said[row]), seen))
    return tuple(found)


def least_alike(found: Sequence[Compared]) -> tuple[Unlike, ...]:
    """Of all texts of a part those whose translations are least alike, by chrF."""
    return tuple(sorted((Unlike(*pair) for pair in enumerate(found)), key=lambda one: one.pair.chrf)[:MOST])


def of_all(found: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """The worst of those of several pieces."""
    return tuple(sorted(found, key=attrgetter("own"))[:MOST])


def write(found: Any, measured: Any) -> None:
    """`FILE` of the folder of a network that was loaded. measured: its `Evaluation` on the run's test part, with a
    confusion or mistakes. Errors: `StorageError` if it cannot be written."""
    about = {"data": found.config.data, "what": KINDS[found.reads], "seed": found.seed}
    about |= {"measures": dict(measured.measures), "mistakes": [_plain(one) for one in measured.mistakes]}
    if measured.confusion is not None:
        about |= {"classes": list(found.classes), "confusion": measured.confusion.tolist()}
    elif measured.signatures:
        about |= {"count": found.task.steps("test", 1), "signatures": dict(measured.signatures)}
    else:
        about |= {"count": sum(len(y) for _, y in found.task.labelled("test")), "target": found.task.table.target}
    atomic_write(found.folder / FILE, json.dumps(about))


def _plain(mistake: Mistake | Miss | Unlike) -> dict[str, Any]:
    """Ready for JSON."""
    if isinstance(mistake, Unlike):
        return {"place": mistake.place} | mistake.pair._asdict()
    numbers = mistake._asdict()
    numbers.pop("seen")
    match dict(mistake.seen):
        case {"image": image}:
            return numbers | {"image": base64.b64encode(_png(image)).decode()}
        case {"sound": samples}:
            pieces = np.array_split(np.asarray(samples) / 2**15, min(PIECES, len(samples)))
            return numbers | {"sound": [[round(float(f(piece)), 4) for f in (np.min, np.max)] for piece in pieces]}
        case {"row": row}:
            return numbers | {"row": {name: _value(value) for name, value in row.items()}}
        case seen:
            return numbers | seen


def _png(image: np.ndarray) -> bytes:
    """Of one or three channels; of any other number the first one."""
    from PIL import Image  # only tests with mistakes need it

    channels = image if image.shape[-1] == 3 else image[..., 0]
    picture, file = Image.fromarray(channels), io.BytesIO()
    picture.thumbnail((PIXELS, PIXELS))
    picture.save(file, "png")
    return file.getvalue()


def _value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
