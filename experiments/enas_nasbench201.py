"""ENAS on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/enas_nasbench201.py --out runs/enas_nasbench201
    dnas retrain runs/enas_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 54.30 % on CIFAR-10, all skip connections (Dong and Yang,
ICLR 2020, arXiv:2001.00326, table 5), where the best cell of the space has 94.37 %. Not yet run by this project.
Search as in D-X-Y/AutoDL-Projects: 250 epochs, Nesterov momentum, weight decay 5e-4; the controller by Adam at 0.001.
A step of `enas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="enas",
        data="cifar10",
        search=SearchConfig(
            epochs=250,
            order="weights_first",
            cells=5,
            channels=16,
            weights=weights,
            alphas=AlphaConfig(learning_rate=0.001, decay=0.0),
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
