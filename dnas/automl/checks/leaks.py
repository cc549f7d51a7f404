"""Columns that say the target by themselves: whoever asks the network later has not got them.

A column is one if it is the target under another name, or if a small tree of this column alone predicts nearly all
rows that it was not fitted on.
"""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._columns import identifies
from dnas.automl.checks._groups import share
from dnas.automl.checks.protocol import Columns, Evidence, Finding

ENOUGH = 0.995  # balanced accuracy, or share of the variance
FEWEST, MOST = 40, 20_000  # rows with a target that it takes, that are looked at
LEAVES = 200  # of a tree for numbers


def check(data: Evidence) -> Iterator[Finding]:
    content = data.content
    told = np.flatnonzero(~np.isnan(data.y))
    if not isinstance(content, Columns) or len(told) < FEWEST or len(np.unique(data.y[told])) < 2:
        return
    rows = np.random.default_rng(0).permutation(told)[:MOST]
    y = data.y[rows]
    for name, values in content.items():
        if len(set(values[rows].tolist())) < 2 or (identifies(values) and values.dtype == object):
            continue
        codes = _codes(values[rows])
        if _is_target(codes, y, bool(data.classes)):
            how = f"says the target '{content.target}' in other words" if data.classes else f"is '{content.target}'"
            sentence = f"The column '{name}' {how}: {len(np.unique(codes)):,} values, each with one of the target."
        elif (found := _predicted(codes, y, bool(data.classes))) >= ENOUGH:
            sentence = (
                f"The column '{name}' by itself predicts '{content.target}' nearly without a mistake "
                f"({share(found, 1)}), so it may be known only when the target is."
            )
        else:
            continue
        yield Finding("leaks", "warning", name, sentence, f"left out; --keep '{name}' keeps it", (name,))


def _codes(values: np.ndarray) -> np.ndarray:
    """float [N]: numbers as they are, with the smallest of all for what is missing; categories as numbers."""
    if values.dtype == float:
        return np.where(np.isnan(values), np.nanmin(values) - 1, values)
    return np.unique(values.astype(str), return_inverse=True)[1].astype(float)


def _is_target(codes: np.ndarray, y: np.ndarray, classes: bool) -> bool:
    """Whether each value has one target and each target one value."""
    values, targets = (np.unique(column, return_inverse=True)[1] for column in (codes, y))
    pairs = len(np.unique(values * (targets.max() + 1) + targets))
    if classes:
        return pairs == values.max() + 1 == targets.max() + 1 <= len(y) / 2
    scale = np.corrcoef(codes, y)[0, 1]
    return pairs == values.max() + 1 == targets.max() + 1 and abs(scale) > 1 - 1e-9


def _predicted(codes: np.ndarray, y: np.ndarray, classes: bool) -> float:
    """How well one half of the rows predicts the other, the worse of both ways."""
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind, score = (DecisionTreeClassifier, balanced_accuracy_score) if classes else (DecisionTreeRegressor, r2_score)
    half, scores = len(y) // 2, []
    for fit, test in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        if classes and not {*y[test]} <= {*y[fit]}:
            return 0.0
        tree = kind(max_leaf_nodes=LEAVES, min_samples_leaf=2, random_state=0).fit(codes[fit, None], y[fit])
        scores.append(float(score(y[test], tree.predict(codes[test, None]))))
    return min(scores)
