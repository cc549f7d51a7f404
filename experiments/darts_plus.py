"""DARTS+: DARTS that stops before skip connections take over (Liang et al. 2019, arXiv:1909.06035).

    dnas search experiments/darts_plus.py --out runs/darts_plus
    dnas retrain runs/darts_plus

Hardware: one GPU. Not yet run by this project. There is no reference code: search with the settings of DARTS, first
order; the paper trains the found network longer and with more augmentation than DARTS, whose training is kept here.
A step of `darts_plus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10. Published cost: 0.4 GPU-days. Expected test error: 2.32 %.
"""

from dnas.config import Config

SETTINGS = {"cifar10": Config(space="darts", method="darts_plus", data="cifar10", seed=2)}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
