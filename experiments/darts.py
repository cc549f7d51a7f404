"""DARTS (Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055).

    dnas search experiments/darts.py --out runs/darts
    dnas search experiments/darts.py --method darts:order=finite_difference --out runs/darts_second
    dnas search experiments/darts.py:nasbench201 --out runs/darts_nasbench201
    dnas retrain runs/darts

Hardware: one GPU. Not yet run by this project. `order=second` is the exact derivative where the authors take a finite
difference. Their split is in index order, ours is drawn with the seed. A step is one of first-order DARTS, the unit of
benchmarks/results/step_cost.json.

cifar10: as published: search with 8 cells, then a network of 20 cells and 36 channels. The settings are those of
    quark0/darts, which are the defaults of `dnas.config`. Published cost: 1.5 GPU-days for first order, 4 for second
    (table 1 of the paper). Expected test error: first order 3.00 +- 0.14 %, second order 2.76 +- 0.09 %, both with 3.3
    M parameters (table 1, with cutout; the paper takes the best of four searches by validation accuracy).
nasbench201: first order on CIFAR-10 in the NAS-Bench-201 space: the known collapse to skip connections. Expected test
    accuracy of the found cell: 54.30 % on CIFAR-10, where the best cell of the space has 94.37 % (Dong and Yang, ICLR
    2020, arXiv:2001.00326, table 5, 200 epochs). Search as in D-X-Y/AutoDL-Projects: 5 cells per stage, 16 channels,
    Nesterov momentum, weight decay 5e-4, weights before alphas; training as in the paper.
"""

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, Config

SETTINGS = {
    "cifar10": Config(space="darts", method="darts", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="darts",
        data="cifar10",
        search=NASBENCH201_SEARCH,
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
