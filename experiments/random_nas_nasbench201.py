"""RandomNAS-WS on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/random_nas_nasbench201.py --out runs/random_nas_nasbench201
    dnas retrain runs/random_nas_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 87.66 +- 1.69 % on CIFAR-10 ("RSPS", Dong and Yang, ICLR
2020, arXiv:2001.00326, as quoted by later papers; some quote 84.07 +- 3.61 %), where the best cell of the space has
94.37 %. Not yet run by this project.
Search as in D-X-Y/AutoDL-Projects: 250 epochs, Nesterov momentum, weight decay 5e-4, then the best of 100
architectures on the validation part.
A step of `random_nas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="random_nas:rounds=1,samples=100,finalists=100",
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
