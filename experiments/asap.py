"""ASAP: an annealed softmax whose weak operations are pruned (Noy et al., AISTATS 2020, arXiv:1904.04123).

    dnas search experiments/asap.py --out runs/asap
    dnas search experiments/asap.py:nasbench201 --out runs/asap_nasbench201
    dnas retrain runs/asap

Hardware: one GPU. Not yet run by this project. The code of the search is not public: temperatures and thresholds are
those of cogsys-tuebingen/uninas, all else is as in DARTS, first order.

cifar10: on CIFAR-10 in the DARTS space; alphas stand still for the 10 epochs in which it is too hot. Published cost:
    0.2 GPU-days. Expected test error: 1.68 % (abstract), with more augmentation in training than here.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, for which ASAP was not published. Expected: no number of its
    authors; the best cell has 94.37 % on CIFAR-10, that of DARTS 54.30 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

SETTINGS = {
    "cifar10": Config(space="darts", method="asap", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="asap",
        data="cifar10",
        seed=2,
        search=SearchConfig(epochs=50, cells=5, channels=16),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
