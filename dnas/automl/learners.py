"""Models of scikit-learn beside networks, which see the same features of the same rows. They are compared, and neither
kept nor exported.

Each tries a few settings on folds of the rows that it is trained on, the more the longer it may take.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from dnas.types import Batch

FOLDS = 3
MANY = 20_000  # rows, from which on several threads are faster than one
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
    train, seen = rows.parts["train"], rows.parts[part]
    known = np.ones(len(train.y), bool) if train.counted is None else train.counted > 0
    model = LEARNERS[name](bool(rows.table.classes))
    threads = 1 if len(train.y) < MANY else None
    with threadpool_limits(threads):  # which wait for each other longer than few rows take
        model.fit(train.x[known], train.y[known])
    if not rows.table.classes:
        return np.asarray(model.predict(seen.x))[:, None]
    shares = np.full((len(seen.x), len(rows.table.classes)), 1e-9)
    shares[:, model.classes_] += model.predict_proba(seen.x)
    return np.log(shares)


def measured(outputs: np.ndarray, rows: Any, part: str) -> dict[str, float]:
    """The measures of such outputs."""
    seen = rows.parts[part]
    batch = Batch(jnp.zeros(()), jnp.asarray(seen.y), None if seen.counted is None else jnp.asarray(seen.counted))
    found = rows.measures(rows.evaluate(jnp.asarray(outputs, jnp.float32), batch))
    return {key: float(value) for key, value in found.items()}
