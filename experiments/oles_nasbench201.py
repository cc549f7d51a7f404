"""OLES, DARTS with early stopping of operations, on CIFAR-10 in the NAS-Bench-201 space.

    dnas search experiments/oles_nasbench201.py --out runs/oles_nasbench201
    dnas retrain runs/oles_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: the paper has a table for this space (Jiang et al., NeurIPS
2023), which is not quoted here because it was not at hand; the best cell has 94.37 %, that of DARTS 54.30 %. Not yet
run by this project.
The settings of DARTS as in D-X-Y/AutoDL-Projects, but alphas first, as in the code of OLES.
A step of `oles` costs about 1.3 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    weights = WeightConfig(nesterov=True, decay=5e-4)
    return Config(
        space="nasbench201",
        method="oles",
        data="cifar10",
        search=SearchConfig(epochs=50, cells=5, channels=16, weights=weights),
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
