"""ProxylessNAS on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_proxyless_nas.py --out runs/small_proxyless_nas
    dnas retrain runs/small_proxyless_nas

Hardware: 2 CPU cores. Expected: no published numbers; experiments/small_compare.py has all methods in these settings.
What a step costs beside one of first-order DARTS: python scripts/step_cost.py experiments/small_compare.py.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. Computes every operation, though the weights' step needs one: nothing is saved.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig


def config() -> Config:
    augment = AugmentConfig(pad=1, flip=True)
    return Config(
        space="nasbench201",
        method="proxyless_nas",
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
