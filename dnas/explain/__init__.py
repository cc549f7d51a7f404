"""Why a search found what it found: `dnas why RUN` writes why.json into the folder of a finished search.

decisions: what was chosen among what. ablation: the score of the supernet when options are taken away or exchanged.
history: how decided every mix was, over epochs. agreement: of the mix with the ablation, and of seeds with each other.
curvature: of the validation loss by the alphas. neighbours: trainings of architectures that differ in one decision.
sentence: what is said of it. run: all of it, and what why.json holds.
"""

from dnas import modules_of
from dnas.explain.run import run

__all__ = ["run"]

__getattr__ = modules_of(__name__)
