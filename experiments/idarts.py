"""iDARTS: the implicit hypergradient (Zhang et al., ICML 2021, arXiv:2106.10784).

    dnas search experiments/idarts.py --out runs/idarts
    dnas search experiments/idarts.py:nasbench201 --out runs/idarts_nasbench201
    dnas retrain runs/idarts

Hardware: one GPU. Not yet run by this project. Two terms of the series and four steps of the weights before one of the
alphas, as in the published notebook. An epoch is one pass of the weights over their images.
A step of `idarts` costs about 5.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space, the rest as in DARTS. Expected test error: 2.37 +- 0.03 % with 3.8 M parameters
    (table 3; quoted from memory).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, the rest as in D-X-Y/AutoDL-Projects for DARTS. Expected test
    accuracy of the found cell: 93.58 +- 0.32 % on CIFAR-10 (as listed by paperswithcode), where the best cell of the
    space has 94.37 %.
"""

from dataclasses import replace

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, Config, SearchConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="idarts",
        data="cifar10",
        search=SearchConfig(order="weights_first", inner_steps=4),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="idarts",
        data="cifar10",
        search=replace(NASBENCH201_SEARCH, inner_steps=4),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
