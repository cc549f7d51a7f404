"""Texts with a class each: examples of the parts of a data set, and where each of them is from."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from dnas.data import HELD_OUT, LIMIT_SEED, Location, check_size_and_limit, held_out_note, joined_notes, limited
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._arrays import hold_out, stratified_order
from dnas.data._files import decoded, of_project, reading
from dnas.errors import UserError

PARTS = ("train", "valid", "test")
FILE = "textcls.tar.xz"  # of the project, with SST-2, SST-5 and TREC
MOST_BYTES = 50_000_000  # of all that is in it
STANFORD = {"train": "train", "valid": "dev", "test": "test"}  # what the parts of SST are called


class Row(NamedTuple):
    """A text, the name of its class, and where it is from: `line 3 of FILE`."""

    text: str
    label: str
    place: str


@dataclass(frozen=True, eq=False)
class Examples:
    """N texts, their classes y int32 [N], and where each is from."""

    texts: tuple[str, ...] = ()
    y: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    places: tuple[str, ...] = ()

    def taken(self, rows: np.ndarray) -> "Examples":
        """Some of them."""
        texts, places = (tuple(values[i] for i in rows) for values in (self.texts, self.places))
        return Examples(texts, self.y[rows], places)


@dataclass(frozen=True, eq=False)
class Sentences:
    """Texts with a class each. valid: empty where a data set has no validation part of its own. The note says what a
    reader of a result must know. tokeniser: as `_tokeniser.read` takes it, by which the texts are read; empty: it is
    made of the train part."""

    name: str
    train: Examples
    valid: Examples
    test: Examples
    classes: tuple[str, ...]
    note: str = ""
    tokeniser: str = ""
    task: ClassVar[str] = "text_classification"

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise UserError(f"The data set '{self.name}' has {len(self.classes)} class(es): at least 2 are needed.")
        for part in PARTS:
            found = getattr(self, part)
            what = f"The {part} part of '{self.name}'"
            if not (found.texts or part == "valid"):
                raise UserError(f"{what} has no text: give it some.")
            if found.y.dtype != np.int32 or not len(found.texts) == len(found.places) == len(found.y):
                raise UserError(
                    f"{what} has {len(found.texts)} texts, but labels {found.y.dtype} {list(found.y.shape)}."
                )
            if len(found.y) and not 0 <= found.y.min() <= found.y.max() < len(self.classes):
                raise UserError(f"{what} has labels that are none of its {len(self.classes)} classes.")

    @property
    def train_y(self) -> np.ndarray:
        """Classes of the train part."""
        return self.train.y

    @property
    def test_y(self) -> np.ndarray:
        """Classes of the test part."""
        return self.test.y


def of_rows(
    name: str, rows: Mapping[str, Sequence[Row]], classes: Sequence[str] = (), *, limit: int = 0, seed: int = 0
) -> Sentences:
    """The data set of the rows of each part: without "test" a seeded 20 % of the train rows, stratified by class.

    classes: their names in order; none: those of the train rows. limit: that many train texts, in proportion to the
    classes, and a fifth as many of the other parts; 0: all.
    Errors: `UserError` for a class that has one text, or that no train text is of.
    """
    check_size_and_limit(name, 0, limit)
    known = tuple(classes) or _classes(rows["train"])
    parts = {part: _examples(rows[part], known) for part in PARTS if rows.get(part)}
    note = ""
    if "test" not in parts:
        train, test = hold_out(parts["train"].y, HELD_OUT, seed)
        parts |= {"test": parts["train"].taken(np.sort(test)), "train": parts["train"].taken(np.sort(train))}
        note = held_out_note(seed)
    valid = parts.get("valid", Examples())
    train, test, limit_note = limited(parts["train"].y, parts["test"].y, limit, "texts")
    if limit_note and valid.texts:
        valid = valid.taken(stratified_order(valid.y, LIMIT_SEED)[: max(1, limit // 5)])
    return Sentences(
        name, parts["train"].taken(train), valid, parts["test"].taken(test), known, joined_notes(note, limit_note)
    )


def official(
    name: str, members: Mapping[str, str], classes: Mapping[str, str], *, encoding: str = "utf-8", limit: int = 0
) -> Sentences:
    """A data set of the project's archive, whose lines are a label, a blank and a text. members: the file of each part.

    classes: the names of labels, in the order of the classes; of a label with a colon what stands before it, unless it
    is there as a whole. Errors: `UserError` for a missing or damaged archive.
    """
    source, remedy = locate().require(name, FILE), f"get {FILE} again"
    paths = {part: f"textcls/{member}" for part, member in members.items()}
    with reading(source, remedy):
        found = read_tar(io.BytesIO(inflated_xz(source, MOST_BYTES)), paths.values(), MOST_BYTES)
    if missing := sorted({*paths.values()} - {*found}):
        raise UserError(f"{source} has no {missing[0]}: {remedy}.")
    rows = {}
    for part, path in paths.items():
        text = decoded(found[path], f"{path} of {source}", remedy, encoding)
        rows[part] = [_labelled(line, classes, f"line {n} of {path}") for n, line in numbered_lines(text)]
    return of_rows(name, rows, tuple(dict.fromkeys(classes.values())), limit=limit)


def locate() -> Location:
    """Where the project's archive lies."""
    return of_project(FILE, "text")


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a text with their numbers, without what ends them; nothing behind the last end is no line."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return list(enumerate((line.removesuffix("\r") for line in lines), 1))


def _labelled(line: str, classes: Mapping[str, str], place: str) -> Row:
    label, _, text = line.partition(" ")
    label = label if label in classes else label.partition(":")[0]
    if label not in classes or not text.strip():
        raise UserError(f"Cannot read {place}, '{line[:40]}': expected a label and a text, get {FILE} again.")
    return Row(text.strip(), classes[label], place)


def _classes(rows: Sequence[Row]) -> tuple[str, ...]:
    """In the order of numbers, or of texts. Errors: `UserError` for fewer than two, and for one of a single text."""
    counts = Counter(row.label for row in rows)
    if len(counts) < 2:
        found = f"only the class '{rows[0].label[:40]}', from {rows[0].place} on" if rows else "no text"
        raise UserError(f"There is {found}: at least 2 classes are needed, give texts of others.")
    for row in rows:
        if counts[row.label] == 1:
            raise UserError(
                f"The class '{row.label[:40]}' has one text, {row.place}: a class needs at least 2, so give it more or "
                "leave it out."
            )
    return tuple(sorted(counts, key=float if all(map(_is_number, counts)) else None))


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _examples(rows: Iterable[Row], classes: Sequence[str]) -> Examples:
    rows, index = list(rows), {name: i for i, name in enumerate(classes)}
    for row in rows:
        if row.label not in index:
            raise UserError(
                f"The class '{row.label[:40]}' of {row.place} is none of the train texts: add some, or leave it out."
            )
    y = np.array([index[row.label] for row in rows], np.int32)
    return Examples(tuple(row.text for row in rows), y, tuple(row.place for row in rows))
