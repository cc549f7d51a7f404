"""iDARTS, the implicit hypergradient, on CIFAR-10 in the DARTS space.

    dnas search experiments/idarts_cifar10.py --out runs/idarts_cifar10
    dnas retrain runs/idarts_cifar10

Hardware: one GPU.
Expected test error: 2.37 +- 0.03 % with 3.8 M parameters (Zhang et al., ICML 2021, arXiv:2106.10784, table 3; quoted
from memory). Not yet run by this project.
The settings of DARTS, with two terms of the series and four steps of the weights before one of the alphas, as in the
published notebook. An epoch is one pass of the weights over their images.
A step of `idarts` costs about 5.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config, SearchConfig


def config() -> Config:
    return Config(
        space="darts",
        method="idarts",
        data="cifar10",
        search=SearchConfig(order="weights_first", inner_steps=4),
    )
