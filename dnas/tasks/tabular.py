"""Classes or numbers of the rows of a table; `automl/learners.py` has models of scikit-learn on the same rows.

What rows become features by is fitted on the part that is trained on, see `dnas.data._features`. A row without a target
has weight 0 in every part. Axis letters: N rows, F features, B batch.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import numpy as np

from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.data import joined_notes, named
from dnas.data._arrays import stratified_order, validation_count
from dnas.data._features import Features, fit
from dnas.data._tables import Column, Table, Values, strata, taken
from dnas.errors import UserError
from dnas.tasks.classification import Classification, told
from dnas.tasks.regression import Regression
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.task import EVALUATION_BATCH, VALIDATES, Binding, Shape, Sums, pure_part
from dnas.types import Batch, Tree


@dataclass(frozen=True, eq=False)
class Part:
    """x: features [N, F]. y [N]: of classes int32, else standardised numbers; 0 where missing. counted [N]: weights, 0
    where a target is missing; None: all rows count alike. values: the rows before they became features."""

    x: np.ndarray
    y: np.ndarray
    counted: np.ndarray | None
    values: Values


@dataclass(frozen=True, eq=False, kw_only=True)
class RowSteps:
    """What traced functions hold, whatever the target is. dtype: of the features."""

    dtype: str

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return random_order(key, len(arrays[0]), needed)

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        x, y, counted = arrays
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        return Batch(x[rows].astype(self.dtype), y[rows], None if counted is None else counted[rows])

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        x, y, weights = row
        return Batch(x.astype(self.dtype), y, weights)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassSteps(RowSteps, Classification):
    """With classes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberSteps(RowSteps, Regression):
    """With numbers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows(RowSteps):
    """What is the same whatever the target is. parts: "train", "valid" in a search and where some of it validates, and
    "test" after a search."""

    table: Table
    features: Features
    parts: dict[str, Part]
    name: ClassVar[str] = "tabular"
    takes: ClassVar[str] = "features"

    @property
    def pure(self) -> Any:
        return pure_part(self, ClassSteps if self.table.classes else NumberSteps)

    @property
    def shape(self) -> Shape:
        return Shape(max(len(self.table.classes), 1), (self.features.count,))

    @property
    def note(self) -> str:
        return self.table.note

    @property
    def sizes(self) -> str:
        sizes = [len(part.y) for part in self.parts.values()]
        if "valid" not in self.parts:
            return f"{self.table.name} ({sizes[0]} rows)"
        stage = "retrain" if "test" in self.parts else "search"
        valid = f"{len(self.parts['valid'].y)} {VALIDATES[stage]}"
        return f"{self.table.name}: {sizes[0]} rows for the weights, {valid}"

    def described(self) -> dict[str, Any]:
        train = self.parts["train"]
        checksum = zlib.crc32(train.y.tobytes(), zlib.crc32(train.x.tobytes()))
        sizes = {name: len(part.y) for name, part in self.parts.items()}
        target = {"target": self.table.target, "classes": list(self.table.classes)}
        about = {"name": self.table.name, "note": self.note} | sizes | {"crc32": checksum}
        return about | target | self.features.described()

    def arrays(self, part: str) -> Tree:
        found = self.parts[part]
        return found.x, found.y, found.counted

    def steps(self, part: str, batch_size: int) -> int:
        return -(-len(self.parts[part].y) // batch_size) if part in self.parts else 0

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.table.classes

    def inputs(self, rows: object) -> np.ndarray:
        """Features [B, F] of rows {column: values [B]} as the data set gives them; a missing value is None or NaN.

        Errors: `UserError` for what is no such dictionary, lacks a column, or has columns of several lengths.
        """
        columns = self.table.columns
        if not isinstance(rows, Mapping) or any(column.name not in rows for column in columns):
            known = [column.name for column in columns]
            found = f"{', '.join(map(str, rows)) or 'none'}" if isinstance(rows, Mapping) else type(rows).__name__
            raise UserError(f"Rows are a dictionary of the columns {', '.join(known)}, got {found}.")
        values = tuple(_column(rows[column.name], column) for column in columns)
        if len(set(map(len, values))) > 1:
            raise UserError(f"The columns of rows have several lengths, {sorted(set(map(len, values)))}: give one.")
        return self.features(values).astype(self.dtype)

    def as_row(self, x: np.ndarray) -> tuple[Tree, Tree]:
        """What `evaluation_batch` takes, of inputs alone."""
        return (x, None, None), ()

    def labelled(self, part: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """The rows of a part that have a target, and these."""
        known, found = self._known(part), self.parts[part]
        return [(found.x[known], found.y[known])]

    def seen(self, part: str, place: int, x: np.ndarray) -> dict[str, dict[str, Any]]:
        row, values = self._known(part)[place], self.parts[part].values
        return {"row": {one.name: column[row] for one, column in zip(self.table.columns, values, strict=True)}}

    def _known(self, part: str) -> np.ndarray:
        """Which rows have a target."""
        found = self.parts[part]
        return np.arange(len(found.y)) if found.counted is None else np.flatnonzero(found.counted > 0)

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        found = self.parts[part]
        rows, first = padded_rows(len(found.y), min(EVALUATION_BATCH, len(found.y)))
        weights = first if found.counted is None else first * found.counted[rows]
        return (found.x[rows], found.y[rows], weights), ()


def _column(given: object, column: Column) -> np.ndarray:
    """The values of one column. Errors: `UserError` for numbers that are none."""
    values = [None if value is None or value != value else value for value in np.ravel(np.array(given, object))]
    if column.kind == "category":
        return np.array(["" if value is None else str(value) for value in values], object)
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except (TypeError, ValueError):
        raise UserError(f"The column '{column.name}' has numbers, but one of its values is none.") from None


@dataclass(frozen=True, eq=False, kw_only=True)
class TableClasses(Rows, ClassSteps):
    """`task.Task` of rows and their classes."""

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities [B, classes]."""
        return np.asarray(jax.nn.softmax(logits.astype(np.float32)))

    def measures(self, sums: Sums) -> dict[str, float]:
        return told(super().measures(sums), len(self.table.classes))


@dataclass(frozen=True, eq=False, kw_only=True)
class TableNumbers(Rows, NumberSteps):
    """`task.Task` of rows and their numbers."""

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Numbers [B] in the unit of the target."""
        return logits[:, 0] * self.std + self.mean

    def labelled(self, part: str) -> list[tuple[np.ndarray, np.ndarray]]:
        ((x, y),) = super().labelled(part)
        return [(x, y * self.std + self.mean)]

    def described(self) -> dict[str, Any]:
        return super().described() | {"mean": self.mean, "std": self.std}


def task(*, balanced: bool = False) -> Binding:
    """balanced: every class counts alike in every part, however many rows it has; "accuracy" is then the mean of the
    accuracies of the classes."""

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[TableClasses | TableNumbers, Any]:
        if not isinstance(dataset, Table):
            raise UserError(
                f"The task 'tabular' needs a data set of rows, such as 'wine' or 'table:path=FILE,target=COLUMN', not "
                f"'{dataset.name}'."
            )
        if balanced and not dataset.classes:
            raise UserError(
                f"The setting 'balanced' is about classes, and the target '{dataset.target}' of '{dataset.name}' is a "
                "number: leave it out."
            )
        is_search = stage == "search"
        pieces = divided(dataset, plan.valid_portion, config.seed) if is_search else tested(dataset, plan.valid_portion)
        sizes = {name: len(y) for name, (_, y) in pieces.items()}
        check(plan, dataset.name, sizes)
        smoothing = 0.0 if is_search else plan.label_smoothing
        if smoothing and not dataset.classes:
            raise UserError(
                f"retrain.label_smoothing is {smoothing:g}, and the target '{dataset.target}' of '{dataset.name}' is a "
                "number, no class: choose 0."
            )
        rows = made(dataset, pieces, config.dtype, smoothing, balanced)
        return rows, replace(plan, augment=AugmentConfig(pad=0, flip=False, cutout=0))  # which is for images

    return bind


Pieces = dict[str, tuple[Values, np.ndarray]]  # part -> columns [N] and targets [N]


def tested(table: Table, portion: float) -> Pieces:
    """The test part as it is, and the train part, of which a portion validates, the same for every seed."""
    whole: Pieces = {"train": (table.train, table.train_y)}
    return (divided(table, portion, 0) if portion else whole) | {"test": (table.test, table.test_y)}


def divided(table: Table, portion: float, seed: int) -> Pieces:
    """The train part without, and the validation part with, a seeded portion of its rows, stratified by class."""
    count = len(table.train_y)
    valid = validation_count(count, portion)
    order = stratified_order(strata(table.train_y, table.classes), seed)
    parts = {"train": np.sort(order[valid:]), "valid": np.sort(order[:valid])}
    return {name: (taken(table.train, rows), table.train_y[rows]) for name, rows in parts.items()}


def made(table: Table, pieces: Pieces, dtype: str, smoothing: float, balanced: bool) -> TableClasses | TableNumbers:
    """The task of these parts. Errors: `UserError` where no row of a part has a target."""
    for name, (_, y) in pieces.items():
        if np.isnan(y).all():
            raise UserError(
                f"None of the {len(y)} rows of the {name} part of '{table.name}' has a target: give more rows, or "
                "another seed."
            )
    features = fit(table.columns, pieces["train"][0], table.name)
    kind = np.float64 if dtype == "float64" else np.float32
    known = pieces["train"][1][~np.isnan(pieces["train"][1])]
    mean, std = (0.0, 1.0) if table.classes else (float(known.mean()), float(known.std()) or 1.0)
    untrained = named("classes without a train row", [c for i, c in enumerate(table.classes) if not (known == i).any()])
    table = replace(table, note=joined_notes(table.note, untrained))
    parts = {}
    for name, (values, targets) in pieces.items():
        missing = np.isnan(targets)
        y = (np.where(missing, mean, targets) - mean) / std
        weights = balance(targets, len(table.classes)) if balanced else (~missing).astype(float)
        counted = weights.astype(kind) if missing.any() or balanced else None
        parts[name] = Part(
            features(values).astype(kind), y.astype(np.int32 if table.classes else kind), counted, values
        )
    if table.classes:
        return TableClasses(table=table, features=features, parts=parts, dtype=dtype, smoothing=smoothing)
    return TableNumbers(table=table, features=features, parts=parts, dtype=dtype, mean=mean, std=std)


def balance(targets: np.ndarray, classes: int) -> np.ndarray:
    """Weights [N] of rows such that every class that is there has the same total; 0 where a target is missing."""
    missing = np.isnan(targets)
    labels = np.where(missing, 0, targets).astype(int)
    counts = np.bincount(labels[~missing], minlength=classes)
    return np.where(missing, 0, (~missing).sum() / (counts > 0).sum() / np.maximum(counts[labels], 1))


def check(plan: Any, name: str, sizes: dict[str, int], what: str = "rows") -> None:
    """Refuse what rows, or others, so few cannot feed. Errors: `UserError`."""
    is_search, size = isinstance(plan, SearchConfig), plan.batch_size
    setting, fed = ("search.batch_size", ("train", "valid")) if is_search else ("retrain.batch_size", ("train",))
    if is_search and not sizes["valid"]:
        raise UserError(
            f"search.valid_portion is 0, but architectures are chosen by their score on validation {what}: choose a "
            "portion above 0, say 0.3."
        )
    for part in fed:
        if sizes[part] < size:
            raise UserError(
                f"{setting} is {size}, but the {part} part of '{name}' has {sizes[part]} {what}: choose a batch of at "
                f"most {max(sizes[part], 1)}."
            )
    if is_search and sizes["train"] < size * plan.inner_steps:
        raise UserError(
            f"search.inner_steps is {plan.inner_steps}, each with a batch of {size}, but the train part of '{name}' "
            f"has {sizes['train']} {what}: choose at most {sizes['train'] // size}."
        )
