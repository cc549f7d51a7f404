"""DARTS- on CIFAR-10 in the space S4: noise or separable convolution.

    dnas search experiments/darts_minus_s4_cifar10.py --out runs/darts_minus_s4_cifar10
    dnas retrain runs/darts_minus_s4_cifar10

Hardware: one GPU. Expected: a cell without a majority of skip connections; the errors on S1 to S4 stand in the paper
(Chu et al., ICLR 2021, arXiv:2009.01027, section 4.4) and are not repeated here unchecked. Not yet run by this project.
Search as in the script of Meituan-AutoML/DARTS-: first order, no cutout, the coefficient falls linearly.
A step of `darts_minus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="robust:name=s4", method="darts_minus", data="cifar10")
