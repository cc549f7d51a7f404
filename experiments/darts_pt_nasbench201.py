"""DARTS-PT on CIFAR-10 in the NAS-Bench-201 space, where DARTS itself collapses.

    dnas search experiments/darts_pt_nasbench201.py --out runs/darts_pt_nasbench201
    dnas retrain runs/darts_pt_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 88.11 % on CIFAR-10 (Wang et al., ICLR 2021,
arXiv:2108.04392, table 4; 88.2 % in a run of its authors, issue 6 of ruocwang/darts-pt), where
DARTS has 54.30 %. Not yet run by this project.
Search as in their scripts: 100 epochs of DARTS, then 26 epochs of tuning with 6 decisions; training as in the
benchmark's paper.
A step of `darts_pt` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="nasbench201",
        method="darts_pt",
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
