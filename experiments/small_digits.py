"""DARTS, first order, on scikit-learn's digits in the NAS-Bench-201 space: the demo's search, in a minute or two.

    dnas search experiments/small_digits.py --out runs/small_digits
    dnas retrain runs/small_digits

Hardware: 2 CPU cores. Expected: no published numbers; `make demo` ranks the found cell among random ones.
Departures from the paper: a small supernet, few steps and therefore a larger learning rate for the alphas; digits must
not be mirrored.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig


def config() -> Config:
    augment = AugmentConfig(pad=1, flip=False)
    return Config(
        space="nasbench201",
        method="darts",
        data="digits",
        checkpoint_epochs=5,
        search=SearchConfig(
            epochs=30, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=augment
        ),
        retrain=RetrainConfig(
            epochs=12, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=augment
        ),
    )
