"""GAEA DARTS with a single level on CIFAR-10 in the NAS-Bench-201 space, as published (empirical risk minimisation).

    dnas search experiments/gaea_nasbench201.py --out runs/gaea_nasbench201
    dnas search experiments/gaea_nasbench201.py --search.levels bilevel --search.valid_portion 0.5 --out runs/bilevel
    dnas retrain runs/gaea_nasbench201

Hardware: one GPU. Expected test accuracy of the found cell: 94.10 % on CIFAR-10, 73.43 % on CIFAR-100 and 46.36 % on
ImageNet-16-120 (Li, Khodak, Balcan and Talwalkar, ICLR 2021, arXiv:2004.07802, GAEA DARTS (ERM); the best cells of the
space have 94.37, 73.51 and 47.31 %). Not yet run by this project.
The settings are those of liamcli/gaea_release: 24 channels, no `none`, rate 0.1, 25 epochs. Three differences: their
learning rate is the first half of a cosine over 50 epochs, here it is a whole cosine to the rate of their last epoch;
they draw separate batches for alphas and weights from all images, here one batch serves both; and 2 % of the images are
put aside to measure the validation accuracy.
A step of `gaea` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="nasbench201:operations=skip_connect+nor_conv_1x1+nor_conv_3x3+avg_pool_3x3",
        method="gaea",
        data="cifar10",
        search=SearchConfig(
            epochs=25,
            cells=5,
            channels=24,
            valid_portion=0.02,
            levels="single",
            weights=WeightConfig(learning_rate_end=0.013),
            alphas=AlphaConfig(learning_rate=0.1, decay=0.0),
        ),
        retrain=RetrainConfig(
            epochs=200,
            batch_size=256,
            cells=5,
            channels=16,
            auxiliary=0.0,
            drop_path=0.0,
            weights=WeightConfig(learning_rate=0.1, learning_rate_end=0.0, nesterov=True, decay=5e-4, clip=0.0),
            augment=AugmentConfig(),
        ),
    )
