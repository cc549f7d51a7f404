"""Diabetes: how far the disease goes within a year, a number, of 442 patients by 10 values; comes with scikit-learn.

Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression", Annals of Statistics, 2004.
"""

from dnas.data import Location
from dnas.data._sklearn import embedded
from dnas.data._tables import Table
from dnas.ranges import Limit, Seed


def dataset(*, limit: Limit = 0, seed: Seed = 0) -> Table:
    """Values as measured, not scaled; the sex is a category. Holds out 20 % as the test part, drawn with `seed`."""
    options = {"scaled": False}
    return embedded("diabetes", "load_diabetes", "progression", limit, seed, categories=("sex",), options=options)


def locate() -> Location:
    return Location((), "embedded", "It comes with scikit-learn.")
