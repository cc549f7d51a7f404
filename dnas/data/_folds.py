"""Cross-validation: the train part of a table in folds, each of which is the test part of one smaller table.

The test part of the table itself is in none of them, so whoever trains and tests on folds has not seen it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dnas.data._arrays import stratified_order
from dnas.data._tables import Table, strata, taken
from dnas.errors import UserError


def folded(dataset: Any, folds: int, seed: int) -> Iterator[Table]:
    """As many tables, of equally many train rows each, so that one compiled program trains on all of them: where the
    rows cannot be parted evenly, a few are tested twice.

    Errors: `UserError` for other data, and for more folds than rows.
    """
    if not isinstance(dataset, Table):
        raise UserError(f"Folds are of the rows of a table, and '{dataset.name}' is none: choose 1, for one part.")
    y = dataset.train_y
    if folds > len(y):
        raise UserError(f"'{dataset.name}' has {len(y)} train rows, too few for {folds} folds: choose fewer.")
    order, size = stratified_order(strata(y, dataset.classes), seed), -(-len(y) // folds)
    for fold in range(folds):
        tested = np.take(order, np.arange(fold * size, (fold + 1) * size), mode="wrap")
        kept = np.setdiff1d(np.arange(len(y)), tested)
        parts: dict[str, Any] = {"train": taken(dataset.train, kept), "train_y": y[kept]}
        yield replace(dataset, **parts, test=taken(dataset.train, tested), test_y=y[tested])
