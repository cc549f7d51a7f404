"""EfficientNet: a found network scaled in width, depth and resolution (Tan and Le, ICML 2019, arXiv:1905.11946).

    dnas scale efficientnet_b0 --published b3                                # also b1 to b7
    dnas scale efficientnet_b0 --phi 3                                       # alpha 1.2, beta 1.1, gamma 1.15
    dnas search experiments/efficientnet.py:small --out runs/efficientnet    # the small twin: a network,
    dnas scale runs/efficientnet --search --phi 1                            # nine trainings, then it is scaled

Hardware: a CPU for the small twin, minutes.
The authors search B0 as MnasNet was found, with 400 million multiply-adds as target; `efficientnet_b0` is their result.
Published: width, depth, resolution, and top-1 accuracy [%] on ImageNet; last the phi of the formula that comes nearest
in width, in depth and in resolution. They differ, so that B1 to B7 are these numbers, not a phi:

    B0  1.0  1.0  224  77.1     0    0    0            B4  1.4  1.8  380  82.9   3.5  3.2  3.8
    B1  1.0  1.1  240  79.1     0   .5   .5            B5  1.6  2.2  456  83.6   4.9  4.3  5.1
    B2  1.1  1.2  260  80.1     1    1  1.1            B6  1.8  2.6  528  84.0   6.2  5.2  6.1
    B3  1.2  1.4  300  81.6   1.9  1.8  2.1            B7  2.0  3.1  600  84.3   7.3  6.2  7.1

small: a chain of five layers on handwritten digits at 16 pixels. Expected: no published number. Six of
    the nine trainings gave 98.3 to 99.3 % of 288 validation images, a difference of three images, which may be chance.
"""

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

SMALL_WEIGHTS = WeightConfig(learning_rate=0.1, schedule="cosine", decay=1e-4)

SETTINGS = {
    "small": Config(
        space="chain:stages=16x1+24x2s2+32x2s2,blocks=mb3_e3+mb5_e3",
        method="gdas",
        data="digits:size=16",
        search=SearchConfig(epochs=4, cells=1, batch_size=64, augment=AugmentConfig(pad=1)),
        retrain=RetrainConfig(
            epochs=8,
            batch_size=64,
            cells=1,
            auxiliary=0.0,
            drop_path=0.0,
            valid_portion=0.2,
            weights=SMALL_WEIGHTS,
            augment=AugmentConfig(pad=1),
        ),
    ),
}


def config(setting: str = "small") -> Config:
    return SETTINGS[setting]
