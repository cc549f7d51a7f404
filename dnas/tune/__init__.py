"""Hyperparameters, and architectures beside them, as one study of Optuna's (`dnas[optuna]`).

A folder holds the study: started again with the same --out, or elsewhere with the same --storage, it goes on.

axes: what is tuned, as one writes it. plan: all of a study. trials: what one trial does. study: Optuna's side of it.
crew: who does trials. outcome: files and pictures. run: all of it.
"""

from dnas import modules_of
from dnas.tune.plan import Plan, planned
from dnas.tune.run import run

__all__ = ["Plan", "planned", "run"]

__getattr__ = modules_of(__name__)
