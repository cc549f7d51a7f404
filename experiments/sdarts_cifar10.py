"""SDARTS-ADV on CIFAR-10: weights are trained at the worst mix nearby.

    dnas search experiments/sdarts_cifar10.py --out runs/sdarts_cifar10
    dnas search experiments/sdarts_cifar10.py --method sdarts:attack=random --out runs/sdarts_rs_cifar10
    dnas retrain runs/sdarts_cifar10

Hardware: one GPU. Published cost: 1.3 GPU-days. Expected test error: 2.61 +- 0.02 % with 3.3 M parameters (Chen and
Hsieh, ICML 2020, arXiv:2002.05283, as quoted by later papers). Not yet run by this project.
Search as in xiangning-chen/SmoothDARTS: the settings of DARTS, first order, seven operations without `none`,
the radius grows from 0.03 to 0.3.
A step of `sdarts` costs about 4.1 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"


def config() -> Config:
    return Config(space=f"darts:operations={OPERATIONS}", method="sdarts", data="cifar10", seed=2)
