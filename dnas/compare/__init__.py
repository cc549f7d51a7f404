"""Methods under one protocol: each searches with several seeds, and every found cell is judged alike.

Gradient searches, black-box searchers and baselines made by hand share one table. A comparison is a folder: `<name>/`
is the run folder of a search, `cells/<hash>/` that of a training, comparison.json holds what is known so far. Started
again with the same --out it goes on with what is missing.

experiment: what an experiment file compares. protocol: how it is judged. check, early: what cannot be compared, or not
be run. searches, trainings: what takes time. costs, equal_cost, correlation: what a search took, what random search
finds for it, how far it ranks cells as the ground truth does. rows, columns, pairs: what is known, as tables. run: all
of it.
"""

from dnas import modules_of
from dnas.compare.check import check
from dnas.compare.columns import cells, table
from dnas.compare.experiment import Baseline, load
from dnas.compare.protocol import Protocol
from dnas.compare.rows import RANDOM, Row
from dnas.compare.run import run

__all__ = ["RANDOM", "Baseline", "Protocol", "Row", "cells", "check", "load", "run", "table"]

__getattr__ = modules_of(__name__)
