"""GAEA on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_gaea.py --out runs/small_gaea
    dnas retrain runs/small_gaea

Hardware: 2 CPU cores. Expected: no published numbers; experiments/small_compare.py has all methods in these settings.
What a step costs beside one of first-order DARTS: python scripts/step_cost.py experiments/small_compare.py.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. Alphas are distributions, so their learning rate is 0.1 and they do not decay.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig


def config() -> Config:
    augment = AugmentConfig(pad=1, flip=True)
    return Config(
        space="nasbench201",
        method="gaea",
        data="fashion_mnist:limit=2000,size=16",
        search=SearchConfig(
            epochs=12,
            cells=1,
            channels=8,
            alphas=AlphaConfig(learning_rate=0.1, decay=0.0),
            augment=augment,
        ),
        retrain=RetrainConfig(
            epochs=6, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=augment
        ),
    )
