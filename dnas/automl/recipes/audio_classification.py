"""Classes of recordings: cells of NAS-Bench-201, one a stage, on log-mel spectra.

Fixed networks are those of images.
"""

from typing import Any

import numpy as np

from dnas.automl.recipes.images import FEW, NETWORKS, OVER, PIXELS_OF_MINUTE, searched, trained
from dnas.automl.recipes.protocol import Recipe, Shares, batch_size
from dnas.config import AugmentConfig, Config

HEARD = 95  # percent of the recordings that are heard to their end
MOST_SECONDS = 4.0
FRAMES = 50  # that a recording has
MELS = 32


def recipe(dataset: Any, *, minutes: float = 30.0, seed: int = 0) -> Recipe:
    """dataset: `Recordings`."""
    longest = float(np.percentile(dataset.train.lengths, HEARD)) / dataset.sample_rate
    seconds = round(min(max(longest, 0.2), MOST_SECONDS), 2)
    hop = max(5, round(1000 * seconds / FRAMES))
    augment, few = AugmentConfig(pad=0, flip=False), len(dataset.train_y) <= FEW
    batch = batch_size(len(dataset.train_y) // 2, 64)
    channels = 16 if len(dataset.train_y) * FRAMES * MELS < PIXELS_OF_MINUTE * minutes else 8
    front = f"window={2 * hop},hop={hop},mels={MELS},seconds={seconds:g}"
    changes = f"shift={4 * hop},gain=6,time_mask=5,mel_mask=3"
    return Recipe(
        Config(
            space="nasbench201",
            method="darts",
            data=dataset.name,
            task=f"audio_classification:{front},{changes}",
            seed=seed,
            seeds=2,
            checkpoint_epochs=2,
            search=searched(batch, augment, order="weights_first"),
            retrain=trained(50 if few else 25, batch, channels, augment),
        ),
        networks=NETWORKS,
        over=OVER,
        least_epochs=3,
        takes_budget=True,
        shares=Shares(search=0.15, training=0.09),
        reasons=(
            f"{HEARD} % of the recordings end within {seconds:g} s: so much is heard of each, as {MELS} bins of a "
            f"log-mel spectrum every {hop} ms.",
            f"In training recordings are moved by up to {4 * hop} ms, made up to 6 dB louder or softer, and parts of "
            "their spectra hidden.",
            "A tenth of the train recordings validates; the chosen network is trained on all of them.",
        ),
    )
