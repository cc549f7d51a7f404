"""JPEG CIFAR-10: all 60,000 images of CIFAR-10 after lossy compression; not comparable to published numbers.

One file, `cifar10_jpeg.npz`: `header` (uint8, the bytes that all the JPEG files begin with), `scans` (uint8,
the rest of each, concatenated), `offsets` (int64 [N + 1]: image i: header + scans[offsets[i]:offsets[i+1]]),
`labels`, `is_test`, `classes`. Decoded once and kept as uint8 in the data folder. The file is ordered by
class, so the images are shuffled once with a fixed seed: a split in index order then sees all classes.
"""

import io
from pathlib import Path

import numpy as np

from dnas.data import Dataset, Location, tailored
from dnas.data._archives import read_npz
from dnas.data._files import of_project, progress, reading
from dnas.data._images import open_image
from dnas.data._kept import kept
from dnas.paths import content_of
from dnas.ranges import Limit, Size

FILE = "cifar10_jpeg.npz"
NOTE = "JPEG CIFAR-10 (quality 75, 4:2:0): not comparable to published CIFAR-10 numbers"
SIDE, ORDER_SEED = 32, 0
MOST_BYTES, MOST_IMAGES, CLASSES = 100_000_000, 60_000, 10  # the file has 18 MB
DECODED = ("train_x", "train_y", "test_x", "test_y", "classes")


def dataset(*, size: Size = 0, limit: Limit = 0) -> Dataset:
    """50,000 train and 10,000 test images."""
    source = locate().require("cifar10_jpeg", FILE)
    arrays = _decoded(source)
    whole = Dataset(
        "cifar10_jpeg",
        arrays["train_x"],
        arrays["train_y"],
        arrays["test_x"],
        arrays["test_y"],
        classes=tuple(str(name) for name in arrays["classes"]),
        note=NOTE,
    )
    return tailored(whole, size=size, limit=limit)


def locate() -> Location:
    return of_project(FILE, "cifar10_jpeg")


_REMEDY = f"get {FILE} again"


def _decoded(source: Path) -> dict[str, np.ndarray]:
    """The uint8 arrays, as they were kept or decoded now."""
    with reading(source, _REMEDY):
        content = content_of(source, MOST_BYTES)
    return kept("decoded images", [content], lambda: _decode(source), DECODED)


def _decode(source: Path) -> dict[str, np.ndarray]:
    packed, _ = read_npz(source, ["header", "scans", "offsets", "labels", "is_test", "classes"], remedy=_REMEDY)
    with reading(source, _REMEDY):
        header, scans, offsets = packed["header"].tobytes(), packed["scans"].tobytes(), packed["offsets"]
        labels, is_test = packed["labels"].astype(np.int32), packed["is_test"].astype(bool)
        if not labels.shape == is_test.shape == (len(offsets) - 1,):
            raise ValueError(f"{len(offsets) - 1} images, {labels.size} labels, {is_test.size} test flags")
        if len(labels) > MOST_IMAGES or packed["classes"].shape != (CLASSES,):
            raise ValueError(f"{len(labels):,} images of {packed['classes'].size:,} classes")
        if offsets[0] != 0 or offsets[-1] != len(scans) or (np.diff(offsets) <= 0).any():
            raise ValueError("its offsets do not cut its scans into images")
        cuts = [slice(*pair) for pair in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    images = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for i, cut in enumerate(progress(cuts, "Decoding JPEG CIFAR-10 (once)")):
        with reading(f"Image {i} of {source}", _REMEDY):
            images[i] = _decode_one(header + scans[cut])
    order = np.random.default_rng(ORDER_SEED).permutation(len(labels))
    train, test = order[~is_test[order]], order[is_test[order]]
    return {
        "train_x": images[train],
        "train_y": labels[train],
        "test_x": images[test],
        "test_y": labels[test],
        "classes": packed["classes"],
    }


def _decode_one(jpeg: bytes) -> np.ndarray:
    with open_image(io.BytesIO(jpeg), ("JPEG",)) as image:
        if image.size != (SIDE, SIDE) or image.mode != "RGB":
            raise ValueError(f"an image of {image.size[0]}x{image.size[1]} in mode {image.mode}")
        return np.asarray(image)
