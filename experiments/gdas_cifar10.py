"""GDAS on CIFAR-10 in the DARTS space.

    dnas search experiments/gdas_cifar10.py --out runs/gdas_cifar10
    dnas retrain runs/gdas_cifar10

Hardware: one GPU. Published cost: 0.21 GPU-days.
Expected test error: 2.93 % with 3.4 M parameters (Dong and Yang, CVPR 2019, arXiv:1910.04465; as quoted
by DARTS-PT, arXiv:2108.04392, table 2). Not yet run by this project.
250 epochs, batches of 256 and a temperature from 10 to 0.1 as in the code, Nesterov momentum. Their reduction cell can
be fixed by hand (FRC, 2.82 %); here both cells are searched.
A step of `gdas` costs about 0.6 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="darts",
        method="gdas",
        data="cifar10",
        search=SearchConfig(
            epochs=250,
            batch_size=256,
            order="weights_first",
            weights=WeightConfig(nesterov=True),
        ),
    )
