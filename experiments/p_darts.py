"""P-DARTS: three phases of growing depth and fewer operations (Chen et al., ICCV 2019, arXiv:1904.12760).

    dnas search experiments/p_darts.py --out runs/p_darts
    dnas retrain runs/p_darts

Hardware: one GPU of 16 GB or more. Not yet run by this project.
The settings are those of the code and the command in its README: 25 epochs in each phase, alphas still in the first 10,
dropout on skips from 0.1, 0.4 and 0.7 (the paper says 0.0, 0.4 and 0.7 on CIFAR-10), at most 2 skips in the normal
cell. Training: batches of 128 and drop-path 0.3.
A step of `p_darts` costs about 2.3 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10, as published: 5, 11 and 17 cells with 8, 5 and 3 operations. Published cost: 0.3 GPU-days (7
    hours on a P100) for the search. Expected test error: 2.50 % with 3.4 M parameters (table 1); the FairDARTS authors
    measured 2.47 % with the same code.
"""

from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="p_darts:deeper=0+6+12,keep=5+3,dropout=0.1+0.4+0.7,skips=2",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            epochs=75,
            batch_size=96,
            cells=5,
            weights=WeightConfig(schedule="cosine"),
            alphas=AlphaConfig(learning_rate=6e-4, clip=5.0, warmup_epochs=10),
        ),
        retrain=RetrainConfig(batch_size=128, drop_path=0.3),
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
