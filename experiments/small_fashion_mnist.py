"""DARTS, first order, on 5,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_fashion_mnist.py --out runs/small_fashion_mnist
    dnas retrain runs/small_fashion_mnist

Hardware: 2 CPU cores. Expected: no published numbers; a first run on images of a natural size.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and therefore a larger learning rate
for the alphas.
A step is one of first-order DARTS, the unit of benchmarks/results/step_cost.json.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=True)
SETTINGS = {
    "fashion_mnist": Config(
        space="nasbench201",
        method="darts",
        data="fashion_mnist:limit=5000,size=16",
        search=SearchConfig(epochs=6, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AUGMENT),
        retrain=RetrainConfig(
            epochs=6, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=AUGMENT
        ),
    ),
}


def config(setting: str = "fashion_mnist") -> Config:
    return SETTINGS[setting]
