"""FairNAS: strictly fair training of shared weights, then evolution (Chu, Zhang and Xu, ICCV 2021, arXiv:1907.01845).

    dnas search experiments/fairnas.py --out runs/fairnas
    dnas retrain runs/fairnas

Hardware: one GPU. Not yet run by this project.
Weights are trained as those of SPOS here, but for the summed gradients of a step, which costs that of 5 paths; so 50
epochs compute as much as 250 of SPOS. They are clipped at 5 like one gradient. The evolution is that of SPOS, by
accuracy alone.

nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Expected test accuracy of the found cell: 93.23 +- 0.18 % on
    CIFAR-10, 71.00 +- 1.46 % on CIFAR-100 and 42.19 +- 0.31 % on ImageNet-16-120 (as quoted by later papers), where the
    best cells of the space have 94.37, 73.51 and 47.31 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "nasbench201": Config(
        space="nasbench201",
        method="fairnas",
        data="cifar10",
        search=SearchConfig(
            epochs=50, cells=5, channels=16, weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "nasbench201") -> Config:
    return SETTINGS[setting]
