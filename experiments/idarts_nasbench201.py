"""iDARTS, the implicit hypergradient, on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/idarts_nasbench201.py --out runs/idarts_nasbench201
    dnas retrain runs/idarts_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 93.58 +- 0.32 % on CIFAR-10 (Zhang et al., ICML 2021,
arXiv:2106.10784, as listed by paperswithcode), where the best cell of the space has 94.37 %. Not yet run by
this project.
Two terms of the series and four steps of the weights before one of the alphas, as in the published notebook; the rest
as in D-X-Y/AutoDL-Projects for DARTS.
A step of `idarts` costs about 5.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="idarts",
        data="cifar10",
        search=SearchConfig(epochs=50, order="weights_first", inner_steps=4, cells=5, channels=16, weights=weights),
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
