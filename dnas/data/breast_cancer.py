"""Breast cancer: 569 tumours, malignant or benign, by 30 measurements of their cells; comes with scikit-learn.

Street, Wolberg and Mangasarian, "Nuclear feature extraction for breast tumor diagnosis", 1993 (Wisconsin, diagnostic).
"""

from dnas.data import Location
from dnas.data._sklearn import embedded
from dnas.data._tables import Table
from dnas.ranges import Limit, Seed


def dataset(*, limit: Limit = 0, seed: Seed = 0) -> Table:
    """Holds out a stratified 20 % as the test part, drawn with `seed`."""
    return embedded("breast_cancer", "load_breast_cancer", target="diagnosis", limit=limit, seed=seed)


def locate() -> Location:
    return Location((), "embedded", "It comes with scikit-learn.", "CC BY 4.0, UCI Machine Learning Repository")
