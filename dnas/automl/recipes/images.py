"""Classes of images: cells of NAS-Bench-201, one a stage, searched with a warm start by proxies (`warm_start`).

Fixed networks: the residual block of He et al. 2016 (arXiv:1512.03385), and the same convolutions without a skip.
"""

from typing import Any

from dnas.automl.recipes.protocol import Recipe, Shares, batch_size
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

RESIDUAL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
PLAIN = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|"
NETWORKS = {"residual block": RESIDUAL, "plain convolutions": PLAIN}
OVER = (
    "retrain.weights.learning_rate=0.02..0.3:log",
    "retrain.weights.decay=1e-4..3e-3:log",
    "retrain.label_smoothing=[0.0,0.1]",
)
FEW = 5_000  # train images: up to so many, more epochs pay
PIXELS_OF_MINUTE = 200_000  # of all train images, up to which there is time for wide networks
PIXELS_OF_PAD = 14  # a crop may move an image by one pixel for so many of a side, at least by one


def recipe(dataset: Any, *, minutes: float = 30.0, seed: int = 0) -> Recipe:
    """dataset: a `Dataset`."""
    height, width, _ = dataset.shape
    few, pad = len(dataset.train_y) <= FEW, max(1, min(height, width) // PIXELS_OF_PAD)
    augment = AugmentConfig(pad=pad, flip=dataset.mirrors)
    batch = batch_size(len(dataset.train_y) // 2, 64)
    channels = 16 if len(dataset.train_y) * height * width < PIXELS_OF_MINUTE * minutes else 8
    return Recipe(
        Config(
            space="nasbench201",
            method="warm_start",
            data=dataset.name,
            seed=seed,
            seeds=2,
            checkpoint_epochs=2,
            search=searched(batch, augment, levels="single"),
            retrain=trained(60 if few else 30, batch, channels, augment),
        ),
        networks=NETWORKS,
        over=OVER,
        least_epochs=3,
        takes_budget=True,
        shares=Shares(search=0.15, training=0.09),
        reasons=(
            f"Images of {height}x{width} pixels are moved by up to {pad}"
            + (", and mirrored." if dataset.mirrors else "; not mirrored, as that would change what they mean."),
            f"Networks begin with {channels} channels, as there is time for.",
            "A tenth of the train images validates; the chosen network is trained on all of them.",
        ),
    )


def searched(batch: int, augment: AugmentConfig, **more: Any) -> SearchConfig:
    """How cells are searched, of images and of spectra."""
    return SearchConfig(
        epochs=10,
        batch_size=batch,
        cells=1,
        channels=8,
        augment=augment,
        weights=WeightConfig(0.05, "sgd:nesterov=true", decay=5e-4),
        alphas=AlphaConfig(learning_rate=0.01),
        **more,
    )


def trained(epochs: int, batch: int, channels: int, augment: AugmentConfig) -> RetrainConfig:
    """How networks of one cell a stage are trained, of images and of spectra."""
    return RetrainConfig(
        epochs=epochs,
        batch_size=batch,
        valid_portion=0.1,
        cells=1,
        channels=channels,
        auxiliary=0.0,
        drop_path=0.0,
        augment=augment,
        weights=WeightConfig(0.1, "sgd:nesterov=true", "cosine", 1, decay=5e-4),
    )
