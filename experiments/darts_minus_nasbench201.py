"""DARTS- on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/darts_minus_nasbench201.py --out runs/darts_minus_nasbench201
    dnas retrain runs/darts_minus_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 93.80 % on CIFAR-10, 71.53 % on CIFAR-100, 45.12 % on
ImageNet16-120 (Chu et al., ICLR 2021, arXiv:2009.01027, as listed by paperswithcode); the best cell of the space has
94.37, 73.51 and 47.31 %. Not yet run by this project.
Search and training as in `darts_nasbench201.py`; their code has no settings for this space.
A step of `darts_minus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="darts_minus",
        data="cifar10",
        search=SearchConfig(epochs=50, cells=5, channels=16, order="weights_first", weights=weights),
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
