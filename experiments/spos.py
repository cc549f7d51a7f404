"""SPOS: single path one-shot, then evolution (Guo et al., ECCV 2020, arXiv:1904.00420).

    dnas search experiments/spos.py --out runs/spos
    dnas retrain runs/spos

Hardware: one GPU. Not yet run by this project.
The evolution is theirs, 20 generations of 50; the training of the shared weights is that of RandomNAS-WS here.
A step of `spos` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).

nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Expected: no published number in this space by its authors, who
    search on ImageNet in spaces of their own; the best cell has 94.37 % test accuracy.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "nasbench201": Config(
        space="nasbench201",
        method="spos",
        data="cifar10",
        search=SearchConfig(
            epochs=250, cells=5, channels=16, weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "nasbench201") -> Config:
    return SETTINGS[setting]
