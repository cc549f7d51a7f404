"""Classes of texts: three layers of TextNAS' space (arXiv:1912.10729), with strong dropout.

Fixed networks: three convolutions one behind the other, as those of Kim 2014 (arXiv:1408.5882) but for their order; and
self-attention twice behind a convolution. Recurrences are not searched: on CPUs a step of one takes that of all others.
"""

from typing import Any

import numpy as np

from dnas.automl.recipes.protocol import Recipe, Shares, batch_size
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

READ = 98  # percent of the texts that are read to their end
MOST_TOKENS = 256
FEW = 10_000  # train texts: up to so many, words that are in one alone teach nothing
NETWORKS = {"convolutions": "conv_3", "self-attention": "attention"}
OPERATIONS = "conv_1+conv_3+conv_5+conv_7+avg_pool_3+max_pool_3+attention+identity+none"
SPACE = f"text:size=small,layers=3,operations={OPERATIONS},embedded=0.4,dropout=0.4"
BUCKETS = 4


def recipe(dataset: Any, *, minutes: float = 30.0, seed: int = 0) -> Recipe:
    """dataset: `Sentences`."""
    texts, own = dataset.train.texts, bool(dataset.valid.texts)
    words = int(np.percentile([len(text.split()) for text in texts], READ))
    length = min(MOST_TOKENS, max(8, -(-words // 8) * 8))
    few = len(texts) <= FEW
    plain = AugmentConfig(pad=0, flip=False)
    adam = WeightConfig(2e-3, "adamw", "cosine", warmup_epochs=1, decay=1e-2, clip=1.0)
    batch = batch_size(min(len(texts), len(dataset.valid.texts)) if own else len(texts) // 2, 64)
    same: dict[str, Any] = {"batch_size": batch, "cells": 1, "augment": plain, "weights": adam}
    return Recipe(
        Config(
            space=SPACE,
            method="darts",
            data=dataset.name,
            task=f"text_classification:least={2 if few else 3},dropped=0.1,max_length={length},buckets={BUCKETS}",
            seed=seed,
            seeds=2,
            checkpoint_epochs=2,
            search=SearchConfig(epochs=8, channels=32, alphas=AlphaConfig(learning_rate=0.01), **same),
            retrain=RetrainConfig(
                epochs=15,
                channels=64,
                valid_portion=0.0 if own else 0.1,
                patience=4,
                auxiliary=0.0,
                drop_path=0.0,
                **same,
            ),
        ),
        networks={name: written(operation) for name, operation in NETWORKS.items()},
        over=(
            "retrain.weights.learning_rate=5e-4..5e-3:log",
            "retrain.weights.decay=1e-3..0.3:log",
            "retrain.label_smoothing=[0.0,0.1]",
            "retrain.channels=[64,128]",
        ),
        least_epochs=2,
        shares=Shares(search=0.15, training=0.08),
        reasons=(
            f"Texts are split at blanks and signs into words of small letters; a word that is in fewer than "
            f"{2 if few else 3} texts is unknown.",
            f"{READ} % of the texts have at most {length} words: so many are read of each.",
            ("The data's own validation part" if own else "A tenth of the train texts")
            + " chooses networks, and of each training the best epoch.",
        ),
    )


def written(operation: str) -> str:
    """A convolution, then an operation twice, as `dnas retrain` takes it."""
    return f"text(operation=[conv_3, {operation}, {operation}], input=[1, 1, 1])"
