"""SDARTS-ADV on CIFAR-10 in the space S2: skip connection or separable convolution.

    dnas search experiments/sdarts_s2_cifar10.py --out runs/sdarts_s2_cifar10
    dnas search experiments/sdarts_s2_cifar10.py --method sdarts:attack=random --out runs/sdarts_rs_s2_cifar10
    dnas retrain runs/sdarts_s2_cifar10

Hardware: one GPU. Expected: the errors on S1 to S4 stand in the paper (Chen and Hsieh, ICML 2020, arXiv:2002.05283) and
are not repeated here unchecked. Not yet run by this project.
Search as in xiangning-chen/SmoothDARTS: the settings of DARTS, first order, the radius grows from 0.03 to 0.3.
A step of `sdarts` costs about 4.1 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="robust:name=s2", method="sdarts", data="cifar10", seed=2)
