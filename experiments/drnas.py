"""DrNAS, Dirichlet distributions over operations, as published: searches in two phases (Chen et al., ICLR 2021).

    dnas search experiments/drnas.py --out runs/drnas
    dnas search experiments/drnas.py:nasbench201 --out runs/drnas_nasbench201
    dnas retrain runs/drnas

Hardware: one GPU, on CIFAR-10 of 16 GB or more. Paper: arXiv:2006.10355. Not yet run by this project.
The settings are those of xiangning-chen/DrNAS: alphas still in the first 10 epochs of each phase, L2 of the alphas as
distance.
A step of `drnas` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 at the size of the final network: 20 cells of 36 channels, no `none`, 25 epochs with 1/6 of the
    channels and all 7 operations, then 25 with 1/4 and 4 operations. Training: batches of 64 and drop-path 0.3.
    Published cost: 0.6 GPU-days for the search. Expected test error: 2.46 +- 0.03 % with 4.1 M parameters (table 2;
    README of the code). A third party that trained the published cell again got 2.67 +- 0.09 % (issue 10 of that
    repository).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, two phases of 50 epochs: 1/4 of the channels and all 5 operations,
    then 1/2 and 3 operations. Expected test accuracy of the found cell: 94.36 +- 0.00 % on CIFAR-10, 73.51 +- 0.00 %
    on CIFAR-100 and 46.34 +- 0.00 % on ImageNet-16-120, searched on CIFAR-10 (table 1; the best cells of the space
    have 94.37, 73.51 and 47.31 %). A third party found 70.88 % on CIFAR-100 (issue 10 of the code).
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
SETTINGS = {
    "cifar10": Config(
        space=f"darts:operations={OPERATIONS}",
        method="drnas:partial=6+4,keep=4",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            cells=20,
            channels=36,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=10),
        ),
        retrain=RetrainConfig(batch_size=64, drop_path=0.3),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="drnas:partial=4+2,keep=3",
        data="cifar10",
        seed=2,
        search=SearchConfig(epochs=100, cells=5, alphas=AlphaConfig(warmup_epochs=10)),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
