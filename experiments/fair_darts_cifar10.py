"""FairDARTS on CIFAR-10: sigmoids and a zero-one loss; a node may be left without input.

    dnas search experiments/fair_darts_cifar10.py --out runs/fair_darts_cifar10
    dnas retrain runs/fair_darts_cifar10

Hardware: one GPU. Published cost: 0.25 GPU-days. Expected test error: 2.54 +- 0.05 % with 3.32 M parameters, the mean
of seven searches (Chu et al., ECCV 2020, arXiv:1911.12126, and the README of their code). Not yet run by this project.
Search as in xiaomi-automl/FairDARTS: seven operations, without `none`; alphas begin at 0, and Adam's first decay is 0.9
where DARTS has 0.5. Their split is in index order, ours is drawn with the seed.
A step of `fair_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, SearchConfig, WeightConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"


def config() -> Config:
    return Config(
        space=f"darts:operations={OPERATIONS}",
        method="fair_darts",
        data="cifar10",
        search=SearchConfig(
            batch_size=128,
            weights=WeightConfig(learning_rate=0.005, learning_rate_end=0.001),
            alphas=AlphaConfig(learning_rate=3e-3, beta1=0.9, initial_scale=0.0),
        ),
    )
