"""Models of scikit-learn beside networks, which see the same features of the same rows. They are compared, and neither
kept nor exported.

Each tries a few settings on folds of the rows that it is trained on. `boosted` is for comparisons of their own.
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from dnas.types import Batch

FOLDS = 3
MANY = 20_000  # rows, from which on several threads are faster than one
SMALLEST = 1e-9  # probability, of classes that no train row has
STRENGTHS = tuple(10.0**power for power in range(-3, 4))  # of the penalty of a linear model, and their inverses


def linear(classes: bool) -> Any:
    """Logistic or ridge regression, whose penalty is chosen on folds."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import GridSearchCV

    if not classes:
        return RidgeCV(STRENGTHS)
    return GridSearchCV(LogisticRegression(max_iter=2000), {"C": STRENGTHS}, cv=FOLDS, error_score="raise")


def boosting(classes: bool) -> Any:
    """Gradient boosting of histograms, whose leaves are chosen on folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.model_selection import GridSearchCV

    forest = (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=0)
    return GridSearchCV(forest, {"max_leaf_nodes": (4, 31)}, cv=FOLDS, error_score="raise")


LEARNERS: dict[str, Callable[[bool], Any]] = {"gradient boosting": boosting, "linear model": linear}


def outputs_of(name: str, rows: Any, part: str) -> np.ndarray:
    """Log-probabilities [N, classes], or standardised numbers [N, 1], of a part of a table (`tasks.tabular.Rows`), of a
    model that is trained on its train part."""
    train, known = rows.parts["train"], _known(rows)
    model = LEARNERS[name](bool(rows.table.classes))
    threads = 1 if len(train.y) < MANY else None
    with threadpool_limits(threads):  # which wait for each other longer than few rows take
        model.fit(train.x[known], train.y[known])
    return _outputs(model, rows.parts[part].x, rows)


def measured(outputs: np.ndarray, rows: Any, part: str) -> dict[str, float]:
    """The measures of such outputs."""
    seen = rows.parts[part]
    batch = Batch(jnp.zeros(()), jnp.asarray(seen.y), None if seen.counted is None else jnp.asarray(seen.counted))
    found = rows.measures(rows.evaluate(jnp.asarray(outputs, jnp.float32), batch))
    return {key: float(value) for key, value in found.items()}


def boosted(rows: Any, part: str = "test") -> dict[str, float]:
    """The measures of gradient boosting with its own default settings on a part of the rows as they are, with missing
    numbers and categories; weights as the task has them."""
    from sklearn.compose import ColumnTransformer  # it takes a second
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.preprocessing import OrdinalEncoder

    train, known = rows.parts["train"], _known(rows)
    coded = [i for i, column in enumerate(rows.table.columns) if column.kind == "category"]
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=math.nan, encoded_missing_value=math.nan, max_categories=200
    )
    encoder = ColumnTransformer([("codes", codes, coded)], remainder="passthrough") if coded else None
    raw = _matrix(train)[known], _matrix(rows.parts[part])
    x, seen = raw if encoder is None else (encoder.fit_transform(raw[0]), encoder.transform(raw[1]))
    forest = HistGradientBoostingClassifier if rows.table.classes else HistGradientBoostingRegressor
    model = forest(random_state=0, categorical_features=list(range(len(coded))) or None)
    weights = None if train.counted is None else train.counted[known]
    model.fit(x.astype(float), train.y[known], sample_weight=weights)
    return measured(_outputs(model, seen.astype(float), rows), rows, part)


def _known(rows: Any) -> np.ndarray:
    """Which train rows have a target [N]."""
    train = rows.parts["train"]
    return np.ones(len(train.y), bool) if train.counted is None else train.counted > 0


def _matrix(part: Any) -> np.ndarray:
    """The values of rows before they became features [N, columns], None where they are missing."""
    columns = np.stack([column.astype(object) for column in part.values], 1)
    columns[columns == ""] = None
    return columns


def _outputs(model: Any, x: np.ndarray, rows: Any) -> np.ndarray:
    """What a trained model says of x [N, F], as the networks of a task say it."""
    if not rows.table.classes:
        return np.asarray(model.predict(x))[:, None]
    shares = np.full((len(x), len(rows.table.classes)), SMALLEST)
    shares[:, model.classes_] += model.predict_proba(x)
    return np.log(shares)
