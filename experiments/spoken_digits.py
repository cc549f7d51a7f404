"""Cells for spoken digits, on log-mel spectra, as Mo et al. searched them for keywords with DARTS (arXiv:2009.00165).

    dnas search experiments/spoken_digits.py --out runs/spoken_digits
    dnas retrain runs/spoken_digits
    dnas search experiments/spoken_digits.py:speaker --out runs/spoken_speaker
    dnas retrain runs/spoken_speaker
    dnas search experiments/spoken_digits.py:small --out runs/spoken_small
    dnas retrain runs/spoken_small
    dnas predict runs/spoken_small seven.wav
    dnas search experiments/spoken_digits.py:frames --out runs/spoken_frames
    dnas retrain runs/spoken_frames

Hardware: 2 CPU cores for small, frames and encoder, a GPU for the others. Expected: not yet run by this project, and
there are no published numbers of searched cells on these data; chance is 10 %.
Departures from the paper: log-mel spectra rather than MFCC, the space of NAS-Bench-201 rather than DARTS' own with a
head of their own, fewer and smaller cells, shifted examples and masks of SpecAugment.

recording: the official test part, five recordings of every digit by every speaker. Speakers are known from training.
speaker: all recordings of one speaker are the test part, who is not heard before. The validation part of the search has
    the speakers of its train part.
small: one second at 20 ms, 20 mels, 600 recordings, one cell a stage, to see all of it work.
frames: the same recordings frame by frame, read by three layers that choose convolutions over time, pools, attention or
    recurrences (`text`).
encoder: the same frames, read by a transformer, whose decisions say all its sizes.
"""

import dataclasses

from dnas.config import (
    NASBENCH201_TRAINING,
    AlphaConfig,
    AugmentConfig,
    Config,
    RetrainConfig,
    SearchConfig,
    WeightConfig,
)

HEARD = "audio_classification:shift=100,gain=6,time_mask=10,mel_mask=4"
SEARCH = SearchConfig(
    epochs=30,
    cells=2,
    channels=16,
    order="weights_first",
    weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4),
    alphas=AlphaConfig(learning_rate=0.003),
)


def _training(epochs: int, cells: int, channels: int):
    weights = WeightConfig(0.05, "sgd:nesterov=true", "cosine", decay=5e-4)
    plain = AugmentConfig(pad=0, flip=False)
    return dataclasses.replace(
        NASBENCH201_TRAINING,
        epochs=epochs,
        batch_size=64,
        cells=cells,
        channels=channels,
        weights=weights,
        augment=plain,
    )


RECORDING = Config(
    space="nasbench201", data="spoken_digits", task=HEARD, search=SEARCH, retrain=_training(60, cells=2, channels=16)
)
ADAM = WeightConfig(3e-3, "adam", "cosine", decay=1e-6)
SMALL = dataclasses.replace(
    RECORDING,
    data="spoken_digits:limit=600",
    task="audio_classification:window=40,hop=20,mels=20,shift=100",
    search=dataclasses.replace(
        SEARCH, epochs=6, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), batch_size=32
    ),
    retrain=dataclasses.replace(_training(12, cells=1, channels=8), batch_size=32),
)
FRAMES = dataclasses.replace(
    SMALL,
    space="text:size=small,layers=3,embedded=0.1,dropout=0.2",
    search=dataclasses.replace(SMALL.search, epochs=10, channels=32, weights=ADAM),
    retrain=dataclasses.replace(SMALL.retrain, epochs=20, channels=32, weights=ADAM),
)
SETTINGS = {
    "recording": RECORDING,
    "speaker": dataclasses.replace(RECORDING, data="spoken_digits:by=speaker,speaker=theo"),
    "small": SMALL,
    "frames": FRAMES,
    "encoder": dataclasses.replace(
        FRAMES,
        space="transformer:size=small,depths=1+2",
        search=dataclasses.replace(FRAMES.search, channels=SearchConfig().channels),
        retrain=dataclasses.replace(FRAMES.retrain, channels=RetrainConfig().channels),
    ),
}


def config(setting: str = "recording") -> Config:
    return SETTINGS[setting]
