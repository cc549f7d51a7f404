"""Wine: 178 wines of three growers by 13 chemical measurements; comes with scikit-learn.

Aeberhard and Forina, "Wine", UCI Machine Learning Repository, 1992.
"""

from dnas.data import Location
from dnas.data._sklearn import embedded
from dnas.data._tables import Table
from dnas.ranges import Limit, Seed


def dataset(*, limit: Limit = 0, seed: Seed = 0) -> Table:
    """Holds out a stratified 20 % as the test part, drawn with `seed`."""
    return embedded("wine", "load_wine", target="grower", limit=limit, seed=seed)


def locate() -> Location:
    return Location((), "embedded", "It comes with scikit-learn.", "CC BY 4.0, UCI Machine Learning Repository")
