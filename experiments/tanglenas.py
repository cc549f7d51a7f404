"""TangleNAS: entangled kernels in a search with gradients (Sukthanker et al. 2023, arXiv:2312.10440).

    dnas search experiments/tanglenas.py --out runs/tanglenas
    dnas search experiments/tanglenas.py:nasbench201 --out runs/tanglenas_nasbench201
    dnas retrain runs/tanglenas

Hardware: one GPU. Not yet run by this project.
Of automl/TangleNAS `configs/search`, with DrNAS' distribution, as there; how the entangled edge differs from theirs:
dnas/methods/tanglenas.py.

cifar10: on CIFAR-10 in the DARTS space, Nesterov momentum, a learning rate that falls to 0. Their config names 1/6 of
    the channels as well, which is left out. Expected: the paper's test error is not quoted here because it was not at
    hand; that of DARTS is 3.00 %.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, 100 epochs. Expected: the paper's accuracy is not quoted here
    because it was not at hand; the best cell of the space has 94.37 % test accuracy.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="tanglenas",
        data="cifar10",
        search=SearchConfig(weights=WeightConfig(optimiser="sgd:nesterov=true", schedule="cosine")),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="tanglenas",
        data="cifar10",
        search=SearchConfig(epochs=100, cells=5),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
