"""DrNAS on CIFAR-10 in the NAS-Bench-201 space, as published: two phases of 50 epochs.

    dnas search experiments/drnas_nasbench201.py --out runs/drnas_nasbench201
    dnas retrain runs/drnas_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 94.36 +- 0.00 % on CIFAR-10, 73.51 +- 0.00 % on CIFAR-100
and 46.34 +- 0.00 % on ImageNet-16-120, searched on CIFAR-10 (Chen et al., ICLR 2021, arXiv:2006.10355, table 1; the
best cells of the space have 94.37, 73.51 and 47.31 %). A third party found 70.88 % on CIFAR-100 (issue 10 of
xiangning-chen/DrNAS). Not yet run by this project.
The settings are those of the code: 1/4 of the channels and all 5 operations, then 1/2 and 3 operations, alphas still in
the first 10 epochs of each phase; L2 of the alphas as distance.
A step of `drnas` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="nasbench201",
        method="drnas:partial=4+2,keep=3",
        data="cifar10",
        seed=2,
        search=SearchConfig(epochs=100, cells=5, alphas=AlphaConfig(warmup_epochs=10)),
        retrain=RetrainConfig(
            epochs=200,
            batch_size=256,
            cells=5,
            channels=16,
            auxiliary=0.0,
            drop_path=0.0,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0, nesterov=True, decay=5e-4, clip=0.0),
            augment=AugmentConfig(),
        ),
    )
