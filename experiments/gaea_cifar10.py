"""GAEA PC-DARTS on CIFAR-10, as published: exponentiated gradient for operations and edges on partial channels.

    dnas search experiments/gaea_cifar10.py --out runs/gaea_cifar10
    dnas retrain runs/gaea_cifar10

Hardware: one GPU of 12 GB or more. Published cost: 0.1 GPU-days for the search.
Expected test error: 2.50 +- 0.06 % with 3.7 M parameters (Li, Khodak, Balcan and Talwalkar, ICLR 2021,
arXiv:2004.07802, DARTS space). Not yet run by this project.
The settings are those of liamcli/gaea_release: bilevel, rate 0.1 for operations and edges, no warm-up, no entropic
regularisation, `none` among the operations; drop-path 0.3 in training.
A step of `gaea` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="darts",
        method="gaea:partial=4,edges=true,edge_rate=0.1",
        data="cifar10",
        search=SearchConfig(
            batch_size=256,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0),
            alphas=AlphaConfig(learning_rate=0.1, decay=0.0),
        ),
        retrain=RetrainConfig(drop_path=0.3),
    )
