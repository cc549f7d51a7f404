"""EfficientNet: a found network scaled in width, depth and resolution (Tan and Le, ICML 2019, arXiv:1905.11946).

    dnas scale efficientnet_b0 --published b3                                # also b1 to b7
    dnas scale efficientnet_b0 --phi 3                                       # alpha 1.2, beta 1.1, gamma 1.15
    dnas search experiments/efficientnet.py:small --out runs/efficientnet    # the small twin: a network,
    dnas scale runs/efficientnet --search --phi 1                            # nine trainings, then it is scaled
    dnas retrain efficientnet_b0 --config experiments/efficientnet.py:imagenet --data imagenet:path=FOLDER,workers=32

Hardware: a CPU for the small twin, minutes. For imagenet accelerators, several hosts of them with a launcher of
scripts/, and a core of a CPU for every 250 images a second that they take.
The authors search B0 as MnasNet was found, with 400 million multiply-adds as target; `efficientnet_b0` is their result.
Published: width, depth, resolution, and top-1 accuracy [%] on ImageNet, trained with AutoAugment (the README of
tensorflow/tpu, models/official/efficientnet); last the phi of the formula that comes nearest in width, in depth and in
resolution. They differ, so that B1 to B7 are these numbers, not a phi. What each costs, dnas zoo "efficientnet*" says:

    B0  1.0  1.0  224  77.1     0    0    0            B4  1.4  1.8  380  82.9   3.5  3.2  3.8
    B1  1.0  1.1  240  79.1     0   .5   .5            B5  1.6  2.2  456  83.6   4.9  4.3  5.1
    B2  1.1  1.2  260  80.1     1    1  1.1            B6  1.8  2.6  528  84.0   6.2  5.2  6.1
    B3  1.2  1.4  300  81.6   1.9  1.8  2.1            B7  2.0  3.1  600  84.3   7.3  6.2  7.1

imagenet: how they train B0, by their code (tensorflow/tpu, models/official/efficientnet): 350 epochs in batches of
    2,048, RMSProp, 0.97 every 2.4 epochs, an average of 0.9999, smoothed labels, bfloat16. Expected: 77.1 % top-1, as
    published. This project has not run it; the same pieces together are tested on 200 small images. Departures:
    RandAugment for their AutoAugment; drop-path rises with the epochs, theirs with depth; no dropout before the
    classifier; batch statistics are of the whole batch, theirs of 128, and move by 0.1, theirs by 0.01; the decay acts
    on all weights; the rate falls from the end of the warm-up on; no warm-up of the average; bilinear crops. Their code
    trains MnasNet's networks with the same numbers in batches of 1,024: mnasnet_a1 with --retrain.batch_size 1024
    --retrain.rand_augment 0 --retrain.drop_path 0, published 75.2 %.
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
    "imagenet": Config(
        space="chain",
        data="imagenet:size=224",
        dtype="bfloat16",
        retrain=RetrainConfig(
            epochs=350,
            batch_size=2048,
            cells=1,
            auxiliary=0.0,
            drop_path=0.2,
            label_smoothing=0.1,
            rand_augment=2,
            average="ema:decay=0.9999",
            weights=WeightConfig(
                learning_rate=0.016,
                optimiser="rmsprop:average=0.9,momentum=0.9,eps=0.001,eps_inside=true,initial=1,rate_inside=true",
                schedule="exponential:gamma=0.97,every=2.4",
                warmup_epochs=5,
                decay=1e-5,
                clip=0.0,
                reference_batch=256,
            ),
            augment=AugmentConfig(pad=0),
        ),
    ),
}


def config(setting: str = "small") -> Config:
    return SETTINGS[setting]
