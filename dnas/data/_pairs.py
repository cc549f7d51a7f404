"""Pairs of texts, one the translation of the other: the parts of a data set, and where each pair is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dnas.data import HELD_OUT, check_size_and_limit, held_out_note, joined_notes, limited
from dnas.data._arrays import hold_out
from dnas.data._files import decoded
from dnas.data._sentences import PARTS, numbered_lines
from dnas.errors import UserError


@dataclass(frozen=True, eq=False)
class Lines:
    """N texts, their translations, and where both of each are from: (`line 3 of FILE`, `line 3 of FILE`)."""

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()

    def taken(self, rows: np.ndarray) -> "Lines":
        """Some of them."""
        sources, targets = (tuple(values[i] for i in rows) for values in (self.sources, self.targets))
        return Lines(sources, targets, tuple(self.places[i] for i in rows))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Texts with their translations. valid: empty where a data set has no validation part of its own. The note says
    what a reader of a result must know. tokenised: whether texts are tokens between blanks, which BLEU counts as they
    are. tokenisers: of sources and targets as `_tokeniser.read` takes them, by which the texts are read; none: they are
    made of the train part."""

    name: str
    train: Lines
    valid: Lines
    test: Lines
    note: str = ""
    tokenised: bool = False
    tokenisers: tuple[str, ...] = ()
    task: ClassVar[str] = "translation"

    def __post_init__(self) -> None:
        for part in PARTS:
            found: Lines = getattr(self, part)
            if not (found.sources or part == "valid"):
                raise UserError(f"The {part} part of '{self.name}' has no pair of texts: give it some.")
            if not len(found.sources) == len(found.targets) == len(found.places):
                raise UserError(
                    f"The {part} part of '{self.name}' has {len(found.sources)} sources, {len(found.targets)} targets "
                    f"and {len(found.places)} places: give as many of each."
                )


def of_lines(
    name: str, parts: Mapping[str, Lines], *, note: str = "", tokenised: bool = False, limit: int = 0, seed: int = 0
) -> Pairs:
    """The data set of these parts: without "test" a seeded 20 % of the train pairs.

    limit: that many train pairs, always the same ones, and a fifth as many of the other parts; 0: all.
    """
    check_size_and_limit(name, 0, limit)
    parts, notes = dict(parts), [note]
    if "test" not in parts:
        if len(parts["train"].sources) < 2:
            raise UserError(f"'{name}' has one pair of texts: too few to hold out a test part, give more.")
        train, test = hold_out(_alike(parts["train"]), HELD_OUT, seed)
        parts |= {"test": parts["train"].taken(np.sort(test)), "train": parts["train"].taken(np.sort(train))}
        notes.append(held_out_note(seed))
    valid = parts.get("valid", Lines())
    train, test, limit_note = limited(_alike(parts["train"]), _alike(parts["test"]), limit, "pairs")
    if limit_note and valid.sources:
        _, rows, _ = limited(_alike(parts["train"]), _alike(valid), limit)
        valid = valid.taken(rows)
    return Pairs(
        name,
        parts["train"].taken(train),
        valid,
        parts["test"].taken(test),
        joined_notes(*notes, limit_note),
        tokenised,
    )


def paired(source: str, target: str, files: Sequence[str]) -> Lines:
    """The pairs of two texts, line by line. files: what the two are called.

    Errors: `UserError` for texts of other numbers of lines, and for a line without a word.
    """
    first, second = numbered_lines(source), numbered_lines(target)
    if len(first) != len(second):
        raise UserError(
            f"{files[0]} has {len(first):,} lines and {files[1]} {len(second):,}: every line of one is the translation "
            "of the same line of the other, so give both as many."
        )
    if not first:
        raise UserError(f"{files[0]} is empty: write a text on each line.")
    for lines, file in ((first, files[0]), (second, files[1])):
        for number, line in lines:
            if not line.strip():
                raise UserError(
                    f"Line {number:,} of {file} is empty: write its translation, or remove it from both files."
                )
    sources, targets = (tuple(line.strip() for _, line in lines) for lines in (first, second))
    return Lines(sources, targets, tuple((f"line {n:,} of {files[0]}", f"line {n:,} of {files[1]}") for n, _ in first))


def paired_files(contents: Sequence[bytes], files: Sequence[str], remedy: str) -> Lines:
    """The pairs of two files by their contents. Errors: as of `paired`, and for what is not in UTF-8."""
    source, target = (decoded(content, file, remedy) for content, file in zip(contents, files, strict=True))
    return paired(source, target, files)


def _alike(lines: Lines) -> np.ndarray:
    """The one class of all of them, for what takes classes in proportion."""
    return np.zeros(len(lines.sources), np.int32)
