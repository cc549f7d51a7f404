"""Rows of a table as features for a network, by scikit-learn, fitted on the rows that a network is trained on alone.

Numbers: the median where missing, and a column that says where; then zero mean and unit variance. Categories: a column
each, "missing" one of them; those beyond the most frequent ones share a column, also with what was never seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dnas.data._files import check_memory
from dnas.data._tables import Column, Values
from dnas.errors import UserError

MOST_CATEGORIES = 50  # columns that a column of categories becomes
BYTES = 16  # of a feature: itself and a copy, in float64


class Numbers(NamedTuple):
    """How columns of numbers become features: what is missing is filled, float64 [N]; behind them stand whether these
    columns are missing, `flagged`; means and scales, float64, of all of them."""

    fills: np.ndarray
    flagged: np.ndarray
    means: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True, eq=False)
class Features:
    """What rows of these columns become; see `fit`."""

    columns: tuple[Column, ...]
    transformer: Any

    @property
    def count(self) -> int:
        """How many features a row has."""
        return len(self.names())

    def names(self) -> list[str]:
        """What the features are called."""
        return list(self.transformer.get_feature_names_out([column.name for column in self.columns]))

    def __call__(self, values: Values) -> np.ndarray:
        """Columns [N] -> features, float32 [N, F]."""
        if not len(values[0]):  # scikit-learn wants a row
            return np.zeros((0, self.count), np.float32)
        return self.transformer.transform(_matrix(values)).astype(np.float32)

    def numbers(self) -> Numbers:
        """Of a table that has such columns; their features come first."""
        imputer, scaler = (self.transformer.named_transformers_["number"][step] for step in ("imputer", "scaler"))
        flagged = imputer.indicator_.features_ if imputer.indicator_ is not None else np.zeros(0, int)
        return Numbers(np.nan_to_num(imputer.statistics_), flagged, scaler.mean_, scaler.scale_)

    def categories(self) -> list[list[str]]:
        """The known ones of every such column."""
        encoder = self.transformer.named_transformers_.get("category")
        return [] if encoder is None else [list(map(str, names)) for names in encoder.categories_]

    def codes(self) -> list[np.ndarray]:
        """Of every such column the features of each of its categories, and in a last row of any other text."""
        encoder, found, place = self.transformer.named_transformers_["category"], [], 0
        first = [names[0] for names in encoder.categories_]
        for column, (names, rare) in enumerate(zip(encoder.categories_, encoder.infrequent_categories_, strict=True)):
            asked = np.array([first] * (len(names) + 1), object)
            asked[:, column] = [*names, "?" * (1 + max(map(len, names)))]
            width = len(names) if rare is None else len(names) - len(rare) + 1
            found.append(encoder.transform(asked)[:, place : place + width])
            place += width
        return found

    def described(self) -> dict[str, Any]:
        """The columns that a row must have, and how they become features; ready for JSON."""
        parts = self.transformer.named_transformers_
        about: dict[str, Any] = {"columns": [[column.name, column.kind] for column in self.columns]}
        if "number" in parts:
            imputer, scaler = (parts["number"][step] for step in ("imputer", "scaler"))
            about |= {"medians": np.nan_to_num(imputer.statistics_).tolist()}
            about |= {"means": scaler.mean_.tolist(), "scales": scaler.scale_.tolist()}
        if "category" in parts:
            about |= {"categories": self.categories()}
        return about | {"features": self.names()}


def fit(columns: Sequence[Column], values: Values, name: str) -> Features:
    """The features that these columns [N] give; nothing else is looked at. Errors: `UserError` for too many."""
    from sklearn.compose import ColumnTransformer  # it takes a second
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    kinds = {kind: [i for i, column in enumerate(columns) if column.kind == kind] for kind in ("number", "category")}
    most = 2 * len(kinds["number"]) + MOST_CATEGORIES * len(kinds["category"])
    check_memory(
        most * len(values[0]) * BYTES, f"The features of table '{name}'", "choose a limit, or give it fewer columns"
    )
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    steps = {
        "number": Pipeline([("imputer", imputer), ("scaler", StandardScaler())]),
        "category": OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False
        ),
    }
    transformer = ColumnTransformer([(kind, steps[kind], which) for kind, which in kinds.items() if which])
    try:
        transformer.fit(_matrix(values))
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"The rows of table '{name}' cannot be made features ({reason}): correct the table.") from error
    return Features(tuple(columns), transformer)


def _matrix(values: Values) -> np.ndarray:
    return np.stack([column.astype(object) for column in values], 1)
