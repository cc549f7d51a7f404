"""ReinMax: sampled operations, straight-through of second order (Liu et al., NeurIPS 2023, arXiv:2304.08612).

    dnas search experiments/reinmax.py --out runs/reinmax
    dnas search experiments/reinmax.py:nasbench201 --out runs/reinmax_nasbench201
    dnas retrain runs/reinmax

Hardware: one GPU. Not yet run by this project.
The paper searches no architectures; automl/ConfigurableOptimizer, which does so with its estimate, publishes no numbers
for these settings.

cifar10: on CIFAR-10 in the DARTS space, the rest as in first-order DARTS. Expected: no published number; DARTS has 3.00
    % test error.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, the rest as in D-X-Y/AutoDL-Projects for GDAS: 250 epochs, Nesterov
    momentum, weight decay 5e-4, weights before alphas. Expected: no published number; the best cell of the space has
    94.37 % test accuracy.
"""

from dataclasses import replace

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, Config

SETTINGS = {
    "cifar10": Config(space="darts", method="reinmax", data="cifar10"),
    "nasbench201": Config(
        space="nasbench201",
        method="reinmax",
        data="cifar10",
        search=replace(NASBENCH201_SEARCH, epochs=250),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
