"""What an architecture is worth elsewhere: found on images, texts or speech, trained on each of them.

    python scripts/transfer.py experiments/transfer.py --out runs/transfer
    dnas search experiments/transfer.py:images --out runs/images

Hardware: 2 CPU cores, an hour beside other work; --only takes one of the families, transformers, cells and layers.
Expected: no published numbers; docs/results.md has what came out. Transformers
have the same decisions whatever they read, so that one found on patches of images is one of words and of frames of a
spectrum; cells of NAS-Bench-201 are of images and of spectra, layers of TextNAS' space of words and of frames. Each is
searched with three seeds by DARTS and trained on every task of its family, beside random architectures and one made by
hand; all networks of a task are trained alike, and all transformers are as wide and as deep.

images, texts, speech: transformers, on 3,000 images of CIFAR-10 (16 pixels, patches of 4), on 2,000 questions of TREC,
    and on 1,000 recordings of digits, by a speaker who was not heard before.
image_cells, speech_cells: cells of NAS-Bench-201, one a stage, on the same images and recordings.
text_layers, speech_layers: three layers of convolutions, pools, attention or recurrences, on the same questions and
    recordings.
"""

from small_sequences import ADAM, CNN, DECODER, RESIDUAL, SGD, THREE, WIDE, trained

from dnas.config import AugmentConfig, Config

IMAGES = "cifar10_jpeg:limit=3000,size=16"
AUGMENT = AugmentConfig(pad=1, flip=True)
SPEECH = "spoken_digits:by=speaker,limit=1000"
HEARD = "audio_classification:seconds=0.98,window=40,hop=20,mels=20,shift=100"
TEXTS = "trec:limit=2000"
QUESTIONS = "text_classification:least=2,dropped=0.1,max_length=20"
PATCHES, ENCODER = f"vision_transformer:{WIDE},pixels=16,patch=4,dropout=0.1", f"transformer:reads=encoder,{WIDE}"
SETTINGS = {
    "images": trained(PATCHES, IMAGES, "auto", ADAM, search=5, retrain=8, augment=AUGMENT),
    "texts": trained(ENCODER, TEXTS, QUESTIONS, ADAM, search=5, retrain=8),
    "speech": trained(ENCODER, SPEECH, HEARD, ADAM, search=8, retrain=12),
    "image_cells": trained("nasbench201", IMAGES, "auto", SGD, search=6, retrain=6, channels=8, augment=AUGMENT),
    "speech_cells": trained("nasbench201", SPEECH, HEARD, SGD, search=8, retrain=10, channels=8),
    "text_layers": trained(THREE, TEXTS, QUESTIONS, ADAM, search=6, retrain=8, channels=32),
    "speech_layers": trained(THREE, SPEECH, HEARD, ADAM, search=8, retrain=12, channels=32),
}
FAMILIES = {  # what is found on one of these tasks can be trained on the others: tasks, and what was made by hand
    "transformers": (("images", "texts", "speech"), f"transformer({DECODER})"),
    "cells": (("image_cells", "speech_cells"), RESIDUAL),
    "layers": (("text_layers", "speech_layers"), CNN),
}


def families() -> dict[str, tuple[dict[str, Config], str]]:
    return {name: ({task: SETTINGS[task] for task in tasks}, made) for name, (tasks, made) in FAMILIES.items()}


def config(setting: str = "images") -> Config:
    return SETTINGS[setting]
