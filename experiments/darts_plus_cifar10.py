"""DARTS+ on CIFAR-10: DARTS that stops before skip connections take over.

    dnas search experiments/darts_plus_cifar10.py --out runs/darts_plus_cifar10
    dnas retrain runs/darts_plus_cifar10

Hardware: one GPU. Published cost: 0.4 GPU-days. Expected test error: 2.32 % (Liang et al. 2019, arXiv:1909.06035).
Not yet run by this project. There is no reference code: search with the settings of DARTS, first order; the paper
trains the found network longer and with more augmentation than DARTS, whose training is kept here.
A step of `darts_plus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="darts", method="darts_plus", data="cifar10", seed=2)
