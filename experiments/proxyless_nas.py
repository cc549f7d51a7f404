"""ProxylessNAS: binary gates and two sampled paths (Cai, Zhu and Han, ICLR 2019, arXiv:1812.00332).

    dnas search experiments/proxyless_nas.py --out runs/proxyless_nas
    dnas retrain runs/proxyless_nas

Hardware: one GPU. Not yet run by this project.
From their code: 120 epochs after a warm-up of 40 in which alphas stand still, batches of 256, Nesterov momentum, weight
decay 4e-5, no clipping; alphas by Adam without first moment at 1e-3, one step for five of the weights. Left out: label
smoothing in the search, and a learning rate of its own for the warm-up.
A step of `proxyless_nas` costs about 1.1 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space. Expected: no published numbers in this space. The paper searches
    tree-structured cells, with 2.08 % test error and 5.7 M parameters on CIFAR-10, and mobile networks for ImageNet.
"""

from dnas.config import AlphaConfig, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="proxyless_nas",
        data="cifar10",
        search=SearchConfig(
            epochs=160,
            batch_size=256,
            order="weights_first",
            inner_steps=5,
            valid_portion=0.1,
            weights=WeightConfig(schedule="cosine", optimiser="sgd:nesterov=true", decay=4e-5, clip=0.0),
            alphas=AlphaConfig(learning_rate=1e-3, beta1=0.0, decay=0.0, warmup_epochs=40),
        ),
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
