"""GAEA: exponentiated gradient for the alphas, as published (Li, Khodak, Balcan and Talwalkar, ICLR 2021).

    dnas search experiments/gaea.py --out runs/gaea
    dnas search experiments/gaea.py:nasbench201 --out runs/gaea_nasbench201
    dnas search experiments/gaea.py:nasbench201 --search.levels bilevel --search.valid_portion 0.5 --out runs/bilevel
    dnas retrain runs/gaea

Hardware: one GPU, on CIFAR-10 of 12 GB or more. Paper: arXiv:2004.07802. Not yet run by this project.
The settings are those of liamcli/gaea_release.
A step of `gaea` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: GAEA PC-DARTS on CIFAR-10, operations and edges on partial channels: bilevel, rate 0.1 for operations and
    edges, no warm-up, no entropic regularisation, `none` among the operations; drop-path 0.3 in training. Published
    cost: 0.1 GPU-days for the search. Expected test error: 2.50 +- 0.06 % with 3.7 M parameters (DARTS space).
nasbench201: GAEA DARTS with a single level on CIFAR-10 in the NAS-Bench-201 space (empirical risk minimisation): 24
    channels, no `none`, rate 0.1, 25 epochs. Three differences: their learning rate is the first half of a cosine over
    50 epochs, here it is a whole cosine to the rate of their last epoch; they draw separate batches for alphas and
    weights from all images, here one batch serves both; and 2 % of the images are put aside to measure the validation
    accuracy. Expected test accuracy of the found cell: 94.10 % on CIFAR-10, 73.43 % on CIFAR-100 and 46.36 % on
    ImageNet-16-120 (GAEA DARTS (ERM); the best cells of the space have 94.37, 73.51 and 47.31 %).
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="gaea:partial=4,edges=true,edge_rate=0.1",
        data="cifar10",
        search=SearchConfig(
            batch_size=256,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(learning_rate=0.1, decay=0.0),
        ),
        retrain=RetrainConfig(drop_path=0.3),
    ),
    "nasbench201": Config(
        space="nasbench201:operations=skip_connect+nor_conv_1x1+nor_conv_3x3+avg_pool_3x3",
        method="gaea",
        data="cifar10",
        search=SearchConfig(
            epochs=25,
            cells=5,
            channels=24,
            valid_portion=0.02,
            levels="single",
            weights=WeightConfig(schedule="cosine:end=0.013"),
            alphas=AlphaConfig(learning_rate=0.1, decay=0.0),
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
