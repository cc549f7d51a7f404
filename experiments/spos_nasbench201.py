"""SPOS, single path one-shot, on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/spos_nasbench201.py --out runs/spos_nasbench201
    dnas retrain runs/spos_nasbench201

Hardware: one GPU. Expected: no published number in this space by its authors, who search on ImageNet in spaces of their
own (Guo et al., ECCV 2020, arXiv:1904.00420); the best cell has 94.37 % test accuracy. Not yet run by this project.
The evolution is theirs, 20 generations of 50; the training of the shared weights is that of RandomNAS-WS here.
A step of `spos` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="spos",
        data="cifar10",
        search=SearchConfig(epochs=250, cells=5, channels=16, weights=weights),
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
