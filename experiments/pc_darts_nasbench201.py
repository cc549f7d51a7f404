"""PC-DARTS on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/pc_darts_nasbench201.py --out runs/pc_darts_nasbench201
    dnas retrain runs/pc_darts_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 93.41 +- 0.30 % on CIFAR-10, 67.48 +- 0.89 % on CIFAR-100
and 41.31 +- 0.22 % on ImageNet-16-120, searched on CIFAR-10 (Chen et al., ICLR 2021, arXiv:2006.10355, table 1; the
best cells of the space have 94.37, 73.51 and 47.31 %). Not yet run by this project.
PC-DARTS was not published in this space. The settings are those of its CIFAR-10 search where they carry over, with the
network of NAS-Bench-201 (5 cells per stage, 16 channels); the run behind the numbers may have had others.
A step of `pc_darts` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="nasbench201",
        method="pc_darts",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            cells=5,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=15),
        ),
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
