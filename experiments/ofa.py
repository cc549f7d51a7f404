"""Once-for-all: progressive shrinking, then evolution by a predictor (Cai et al., ICLR 2020, arXiv:1908.09791).

    dnas search experiments/ofa.py --out runs/ofa
    dnas search experiments/ofa.py:small --out runs/small_ofa
    dnas retrain runs/small_ofa

Hardware: accelerators for `imagenet`, not run by this project; two CPU cores for `small`.

imagenet: phases as published, 180 + 120 + 25 + 120 + 25 + 120 epochs, with the released learning rates relative to that
    of the largest network. Two networks a step in every phase, where they have 1, 2 and 4; no augmentation but crops
    and flips. Expected, as of networks that they found and trained 75 epochs more, in a space of width 1.2 (their
    README), and what dnas show ofa_595m, ofa_482m and ofa_389m count:

        top-1 on ImageNet  multiply-adds            parameters
        80.0 %             595 M, here 595,189,032  9,135,928
        79.6 %             482 M, here 482,413,168  9,066,368
        79.1 %             389 M, here 389,487,856  8,386,544
small: four blocks on 8x8 images of digits, at most 150,000 multiply-adds. Expected: no published number. At commit
    28b48f3 it found ofa(kernel=[5, 5, 3, 3], depth=[1, 2], expansion=[3, 3, 3, 3]), 140,608 of them, whose training
    ended with 98.89 % test accuracy: one seed, five minutes beside other work.
sandwich: the same with the sandwich rule of BigNAS and AttentiveNAS.
"""

from dataclasses import replace

from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

ORDER = "kernel+depth+depth+expansion+expansion"
FOUND = "probes=50,population=50,generations=20"
SMALL = Config(
    space="ofa:size=tiny",
    method=f"once_for_all:order=kernel+depth+expansion,epochs=5+3+3+3,{FOUND}",
    budget="multiply_adds<150000",
    data="digits",
    search=SearchConfig(
        epochs=14,
        batch_size=64,
        cells=1,
        valid_portion=0.2,
        weights=WeightConfig(0.1, "sgd:nesterov=true", decay=3e-5),
        augment=AugmentConfig(pad=1, flip=False),
    ),
    retrain=RetrainConfig(
        epochs=20,
        cells=1,
        auxiliary=0.0,
        drop_path=0.0,
        weights=WeightConfig(0.1, "sgd:nesterov=true", "cosine", decay=3e-5),
        augment=AugmentConfig(pad=1, flip=False),
    ),
)
SETTINGS = {
    "imagenet": Config(
        space="ofa",
        method=f"once_for_all:order={ORDER},epochs=180+120+25+120+25+120,rates=1+0.36+0.03+0.09+0.03+0.09,"
        "probes=4000,population=100,generations=500",
        budget="multiply_adds<4e8",
        data="image_folder:size=224",
        search=SearchConfig(
            epochs=590,
            batch_size=1024,
            cells=1,
            valid_portion=0.01,
            weights=WeightConfig(1.3, "sgd:nesterov=true", warmup_epochs=5, decay=3e-5, clip=0.0),
        ),
        retrain=RetrainConfig(
            epochs=75,
            batch_size=1024,
            cells=1,
            auxiliary=0.0,
            drop_path=0.0,
            label_smoothing=0.1,
            weights=WeightConfig(0.13, "sgd:nesterov=true", "cosine", decay=3e-5, clip=0.0),
            augment=AugmentConfig(),
        ),
    ),
    "small": SMALL,
    "sandwich": replace(SMALL, method=f"once_for_all:rule=sandwich,{FOUND}", search=replace(SMALL.search, epochs=8)),
}


def config(setting: str = "imagenet") -> Config:
    return SETTINGS[setting]
