"""FairDARTS: sigmoids and a zero-one loss; a node may be left without input (Chu et al., ECCV 2020, arXiv:1911.12126).

    dnas search experiments/fair_darts.py --out runs/fair_darts
    dnas retrain runs/fair_darts

Hardware: one GPU. Not yet run by this project.
Search as in xiaomi-automl/FairDARTS: seven operations, without `none`; alphas begin at 0, and Adam's first decay is 0.9
where DARTS has 0.5. Their split is in index order, ours is drawn with the seed.
A step of `fair_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10. Published cost: 0.25 GPU-days. Expected test error: 2.54 +- 0.05 % with 3.32 M parameters, the
    mean of seven searches (the paper and the README of their code).
"""

from dnas.config import AlphaConfig, Config, SearchConfig, WeightConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
SETTINGS = {
    "cifar10": Config(
        space=f"darts:operations={OPERATIONS}",
        method="fair_darts",
        data="cifar10",
        search=SearchConfig(
            batch_size=128,
            weights=WeightConfig(learning_rate=0.005),
            alphas=AlphaConfig(learning_rate=3e-3, beta1=0.9, initial_scale=0.0),
        ),
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
