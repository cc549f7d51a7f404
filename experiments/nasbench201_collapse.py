"""Collapse, seen: what a table knows of the cell that a search would end with, after every epoch of ten methods.

    dnas compare experiments/nasbench201_collapse.py --lookup --random_cells 0 --out runs/collapse
    dnas search experiments/nasbench201_collapse.py:gdas --out runs/collapse_gdas

Hardware: 2 CPU cores. Departures from the published searches (arXiv:2001.00326): one cell a stage instead of five, 8
channels, 2,000 images of JPEG CIFAR-10 of 16x16 pixels, so 15 steps an epoch instead of 390, and therefore alphas that
learn at 0.01 instead of 0.0003; 50 epochs as there. DARTS is published to end with skip connections on all edges,
54.30 %, in both orders. Expected: nothing as clear from so few steps. What came out (commits a1f7557, 091ca37, 3807fae,
benchmarks/results/nasbench201_collapse.json and .png), test accuracy of the cell after the best epoch, by the mean of 3
seeds, and at the end:

    darts         91.08 % (epoch 6)    84.59 +- 6.80 %
    darts-second  92.69 % (epoch 6)    84.77 +- 6.91 %
    gdas          91.35 % (epoch 2)    78.09 +- 7.52 %
    drnas         92.22 % (epoch 20)   91.05 +- 3.42 %
    pc_darts      92.64 % (epoch 48)   92.64 +- 0.18 %
    sdarts        93.25 % (epoch 8)    83.51 +- 6.40 %
    gaea          91.85 % (epoch 6)    69.42 +- 13.10 %
    darts_pt      91.54 % (epoch 7)    90.15 +- 1.85 %
    beta_darts    73.94 % (epoch 35)   71.75 +- 20.95 %
    agreement     91.56 % (epoch 9)    64.33 +- 17.37 %

So DARTS does not reach the cell of skip connections in 750 steps, but is on its way: in both orders its cells get worse
after epoch 6. Those of pc_darts and drnas do not. One of gaea's seeds ends there, 54.30 %, and two of
agreement's. With 390 steps an epoch, all images and the published rate darts has 94 % up to epoch 16, 93 % up to epoch
36, and 54.30 % from epoch 42 on, as published (one seed, commit 604f290, half an hour):

    dnas search experiments/nasbench201_collapse.py:darts --data cifar10_jpeg:size=16 --seeds 1
        --search.alphas.learning_rate 0.0003
"""

from dataclasses import replace

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=True)
BASE = Config(
    space="nasbench201",
    data="cifar10_jpeg:limit=2000,size=16",
    seeds=3,
    checkpoint_epochs=10,
    search=SearchConfig(epochs=50, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AUGMENT),
    retrain=RetrainConfig(epochs=8, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=AUGMENT),
)
SETTINGS = {
    "darts": BASE,
    "darts-second": replace(BASE, method="darts:order=second"),
    "gdas": replace(BASE, method="gdas"),
    "drnas": replace(BASE, method="drnas:partial=4+2,keep=3"),
    "pc_darts": replace(BASE, method="pc_darts"),
    "sdarts": replace(BASE, method="sdarts"),
    "gaea": replace(BASE, method="gaea"),
    "darts_pt": replace(BASE, method="darts_pt"),
    "beta_darts": replace(BASE, method="beta_darts"),
    "agreement": replace(BASE, method="agreement"),
}


def configs() -> dict[str, Config]:
    return SETTINGS


def config(setting: str = "darts") -> Config:
    return SETTINGS[setting]
