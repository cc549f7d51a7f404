"""PC-DARTS on CIFAR-10, as published: large batches through a quarter of the channels.

    dnas search experiments/pc_darts_cifar10.py --out runs/pc_darts_cifar10
    dnas retrain runs/pc_darts_cifar10

Hardware: one GPU of 12 GB or more. Published cost: 0.1 GPU-days for the search.
Expected test error: 2.57 +- 0.07 % with 3.6 M parameters (Xu et al., ICLR 2020, arXiv:1907.05737, table 1; README of
yuhuixu1993/PC-DARTS). The FairDARTS authors measured 2.69 % with the same code. Not yet run by this project.
The settings are those of the code: first order, alphas still for 15 epochs, drop-path 0.3 in training. The learning
rate of the search falls to 0 as in the paper, where the code's default is 0.001.
A step of `pc_darts` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="darts",
        method="pc_darts",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=15),
        ),
        retrain=RetrainConfig(drop_path=0.3),
    )
