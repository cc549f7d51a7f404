"""beta-DARTS: a decay of the softmaxed alphas (Ye et al., CVPR 2022, arXiv:2203.01665).

    dnas search experiments/beta_darts.py --out runs/beta_darts
    dnas search experiments/beta_darts.py:nasbench201 --out runs/beta_darts_nasbench201
    dnas retrain runs/beta_darts

Hardware: one GPU. Not yet run by this project; the expected numbers are as listed by paperswithcode. First order, the
weight of the penalty rises to 50 over the search. How the tables of the two kinds of cells are combined their code
leaves open: here the mean is over the edges of both.
A step of `beta_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10, with the settings of DARTS. Published cost: 0.4 GPU-days. Expected test error: 2.53 %.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, searched as in Sunshine-Ye/Beta-DARTS (100 epochs, alphas first).
    Expected test accuracy of the found cell: 94.36 % on CIFAR-10, 73.51 % on CIFAR-100, 46.34 % on ImageNet16-120; the
    best cell of the space has 94.37, 73.51 and 47.31 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

SETTINGS = {
    "cifar10": Config(space="darts", method="beta_darts", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="beta_darts",
        data="cifar10",
        search=SearchConfig(epochs=100, cells=5, channels=16),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
