"""DrNAS on CIFAR-10, as published: a search at the size of the final network, in two phases.

    dnas search experiments/drnas_cifar10.py --out runs/drnas_cifar10
    dnas retrain runs/drnas_cifar10

Hardware: one GPU of 16 GB or more. Published cost: 0.6 GPU-days for the search.
Expected test error: 2.46 +- 0.03 % with 4.1 M parameters (Chen et al., ICLR 2021, arXiv:2006.10355, table 2; README of
xiangning-chen/DrNAS). A third party that trained the published cell again got 2.67 +- 0.09 % (issue 10 of that
repository). Not yet run by this project.
The settings are those of the code: 20 cells of 36 channels, no `none`, 25 epochs with 1/6 of the channels and all 7
operations, then 25 with 1/4 and 4 operations, alphas still in the first 10 of each; L2 of the alphas as distance.
Training: batches of 64 and drop-path 0.3.
A step of `drnas` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"


def config() -> Config:
    return Config(
        space=f"darts:operations={OPERATIONS}",
        method="drnas:partial=6+4,keep=4",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            cells=20,
            channels=36,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=10),
        ),
        retrain=RetrainConfig(batch_size=64, drop_path=0.3),
    )
