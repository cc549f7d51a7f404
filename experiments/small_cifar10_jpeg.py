"""DARTS, first order, on 2,000 JPEG images of CIFAR-10 in a DARTS space of two nodes: minutes on two CPU cores.

    dnas search experiments/small_cifar10_jpeg.py --out runs/small_cifar10_jpeg
    dnas retrain runs/small_cifar10_jpeg

Hardware: 2 CPU cores. Expected: no published numbers; normal and reduction cells, auxiliary head and drop-path at work.
Departures from the paper: 3 cells of 2 nodes, 4 channels, 16x16 pixels, few steps and therefore a larger learning rate
for the alphas; the images are JPEG copies.
A step is one of first-order DARTS, the unit of benchmarks/results/step_cost.json.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

SETTINGS = {
    "cifar10_jpeg": Config(
        space="darts:nodes=2",
        method="darts",
        data="cifar10_jpeg:limit=2000,size=16",
        search=SearchConfig(
            epochs=5, cells=3, channels=4, alphas=AlphaConfig(learning_rate=0.01), augment=AugmentConfig(pad=2)
        ),
        retrain=RetrainConfig(epochs=5, batch_size=64, cells=5, channels=8, augment=AugmentConfig(pad=2, cutout=8)),
    ),
}


def config(setting: str = "cifar10_jpeg") -> Config:
    return SETTINGS[setting]
