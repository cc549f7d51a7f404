"""beta-DARTS on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/beta_darts_nasbench201.py --out runs/beta_darts_nasbench201
    dnas retrain runs/beta_darts_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 94.36 % on CIFAR-10, 73.51 % on CIFAR-100, 46.34 % on
ImageNet16-120 (Ye et al., CVPR 2022, arXiv:2203.01665, as listed by paperswithcode); the best cell of the space has
94.37, 73.51 and 47.31 %. Not yet run by this project.
Search as in Sunshine-Ye/Beta-DARTS: 100 epochs, alphas first, first order, the weight of the penalty rises to 50;
training as in the benchmark's paper.
A step of `beta_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="nasbench201",
        method="beta_darts",
        data="cifar10",
        search=SearchConfig(epochs=100, cells=5, channels=16),
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
