"""DARTS- on CIFAR-10: an auxiliary skip connection that fades out.

    dnas search experiments/darts_minus_cifar10.py --out runs/darts_minus_cifar10
    dnas retrain runs/darts_minus_cifar10

Hardware: one GPU. Published cost: 0.4 GPU-days. Expected test error: 2.59 +- 0.08 % with 3.5 M parameters (Chu et al.,
ICLR 2021, arXiv:2009.01027, as quoted by later papers). Not yet run by this project.
Search as in Meituan-AutoML/DARTS-: the settings of DARTS, first order, the coefficient falls linearly.
A step of `darts_minus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="darts", method="darts_minus", data="cifar10", seed=2)
