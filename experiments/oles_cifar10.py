"""OLES, DARTS with early stopping of operations, on CIFAR-10 in the DARTS space.

    dnas search experiments/oles_cifar10.py --out runs/oles_cifar10
    dnas retrain runs/oles_cifar10

Hardware: one GPU. Published cost: 0.4 GPU-days.
Expected test error: 2.30 %, mean 2.41 +- 0.11 % (Jiang et al., NeurIPS 2023, as quoted by others; not checked
against the paper). Not yet run by this project.
The settings of first-order DARTS.
A step of `oles` costs about 1.3 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(
        space="darts",
        method="oles",
        data="cifar10",
    )
