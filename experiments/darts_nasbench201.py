"""DARTS, first order, on CIFAR-10 in the NAS-Bench-201 space: the known collapse to skip connections.

    dnas search experiments/darts_nasbench201.py --out runs/darts_nasbench201
    dnas retrain runs/darts_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 54.30 % on CIFAR-10, where the best cell of the space has
94.37 % (Dong and Yang, ICLR 2020, arXiv:2001.00326, table 5, 200 epochs). Not yet run by this project.
Search as in D-X-Y/AutoDL-Projects: 5 cells per stage, 16 channels, Nesterov momentum, weight decay 5e-4, weights before
alphas; training as in the paper.
A step is one of first-order DARTS, the unit of benchmarks/results/step_cost.json.
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="darts",
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
