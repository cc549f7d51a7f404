"""P-DARTS on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_p_darts.py --out runs/small_p_darts
    dnas retrain runs/small_p_darts

Hardware: 2 CPU cores. Expected: no published numbers; experiments/small_compare.py has all methods in these settings.
What a step costs beside one of first-order DARTS: python scripts/step_cost.py experiments/small_compare.py.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. Three phases of 4 epochs with 1, 2 and 3 cells per stage and 5, 4 and 3 operations on every edge.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig


def config() -> Config:
    augment = AugmentConfig(pad=1, flip=True)
    return Config(
        space="nasbench201",
        method="p_darts:deeper=0+1+2,keep=4+3",
        data="fashion_mnist:limit=2000,size=16",
        search=SearchConfig(
            epochs=12,
            cells=1,
            channels=8,
            alphas=AlphaConfig(learning_rate=0.01),
            augment=augment,
        ),
        retrain=RetrainConfig(
            epochs=6, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=augment
        ),
    )
