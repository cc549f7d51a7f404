"""SNAS on CIFAR-10 in the DARTS space, with its penalty of costly operations.

    dnas search experiments/snas_cifar10.py --out runs/snas_cifar10
    dnas retrain runs/snas_cifar10

Hardware: one GPU. Published cost: 1.5 GPU-days.
Expected test error: 2.85 % with 2.8 M parameters at the moderate penalty (Xie et al., ICLR 2019, arXiv:1812.09926, as
quoted by P-DARTS, table 1). Not yet run by this project.
150 epochs on one level, temperature from 1 to 0.03, penalty 1.5e-3 log R as in SNAS-Series. 1,000 images are kept
to watch the accuracy; the code trains on all. It drops paths with 0.3 in the search, which is left out here.
A step of `snas` costs about 0.6 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, SearchConfig


def config() -> Config:
    return Config(
        space="darts",
        method="snas",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            levels="single",
            valid_portion=0.02,
            alphas=AlphaConfig(initial_scale=0.01),
        ),
    )
