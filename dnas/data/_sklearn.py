"""Tables that come with scikit-learn."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dnas.data._tables import Column, Table, held_out, tailored


def embedded(
    name: str,
    loader: str,
    target: str,
    limit: int,
    seed: int,
    categories: Collection[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Table:
    """What a function of `sklearn.datasets` gives, with a seeded 20 % as its test part. categories: columns whose
    numbers are codes."""
    from sklearn import datasets  # it takes a second: not for whoever lists the data sets

    loaded = getattr(datasets, loader)(**(options or {}))
    columns, values = [], []
    for column, array in zip(loaded.feature_names, loaded.data.astype(np.float64).T, strict=True):
        coded = column in categories
        columns.append(Column(str(column), "category" if coded else "number"))
        values.append(np.array([f"{value:g}" for value in array], object) if coded else array.copy())
    y, classes = loaded.target.astype(np.float64), tuple(map(str, loaded.get("target_names", ())))
    whole = Table(name, tuple(columns), tuple(values), y, tuple(values), y, target, classes)
    return tailored(held_out(whole, seed), limit)
