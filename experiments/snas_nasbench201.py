"""SNAS on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/snas_nasbench201.py --out runs/snas_nasbench201
    dnas retrain runs/snas_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 92.77 % on CIFAR-10 (as reported by DrNAS, Chen et al.,
ICLR 2021, arXiv:2006.10355), where the best cell of the space has 94.37 %. Not yet run by this project.
They do not give the settings of this search; these are those of SNAS-Series for its schedule and alphas, and those of
D-X-Y/AutoDL-Projects for the weights. 1,000 images are kept to watch the accuracy.
A step of `snas` costs about 0.6 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="snas:penalty=0.0",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            levels="single",
            valid_portion=0.02,
            cells=5,
            channels=16,
            weights=weights,
            alphas=AlphaConfig(initial_scale=0.01),
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
