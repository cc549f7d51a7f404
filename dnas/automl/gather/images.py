"""Images as checks see them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas.automl.checks.protocol import TEST, TRAIN, Evidence, Images
from dnas.automl.gather._files import digest, digests, numbered, readable
from dnas.data import Dataset
from dnas.data._arrays import resized
from dnas.data._files import users_path
from dnas.data._images import read
from dnas.data.image_folder import files_in

SMALL = 16  # pixels of a side of what is compared
ENOUGH = 64  # pixels of a side of a large JPEG, of which no more is decoded
GREY = 12  # of 255: channels that differ by less are grey, whatever JPEG made of them
USUAL_SIZE = 32  # pixels of a side, what images are made for a network unless they are smaller


class _Seen(NamedTuple):
    """Of one image: its height and width in the file, its digest, 16x16 pixels of it in colour."""

    height: int
    width: int
    digest: int
    small: np.ndarray


def of_arrays(data: Dataset) -> Evidence:
    """The evidence of a data set in memory."""
    x = np.concatenate([data.train_x, data.test_x]) if len(data.test_x) else data.train_x
    y = np.concatenate([data.train_y, data.test_y])
    height, width, channels = data.shape
    colour = resized(x[..., :3] if channels > 3 else x, SMALL)
    content = _images(np.full(len(x), height), np.full(len(x), width), colour, lambda i: x[i])
    return Evidence(
        name=data.name,
        task=data.task,
        what="images",
        parts=np.repeat([TRAIN, TEST], [len(data.train_y), len(data.test_y)]),
        y=y.astype(float),
        classes=data.classes,
        digests=digests([image.tobytes() for image in x]),
        places=numbered("image", len(data.train_y), len(data.test_y)),
        content=content,
        sizes={"height": height, "width": width, "channels": channels},
        notes=(data.note,),
    )


def of_folder(path: str, size: int = 0, limit: int = 0, seed: int = 0) -> Evidence:
    """The evidence of a folder of images, with the settings of `image_folder`. size: 0 for what suits most of them,
    which the evidence says. Damaged ones are told apart."""
    root = users_path(path)
    listed = files_in(root, limit=limit, seed=seed)
    files = [*listed.train, *listed.test]
    good, images, damaged = readable(files, _see, "images", root)
    heights, widths = (np.array([getattr(one, side) for one in images]) for side in ("height", "width"))
    size = size or min(USUAL_SIZE, int(np.median(np.minimum(heights, widths))))
    kept = [files[i] for i in good]
    return Evidence(
        name=root.resolve().name,
        task="images",
        what="images",
        parts=np.repeat([TRAIN, TEST], [len(listed.train), len(listed.test)])[good],
        y=np.concatenate([listed.train_y, listed.test_y])[good].astype(float),
        classes=listed.classes,
        digests=np.array([one.digest for one in images], np.uint64),
        places=[str(file.relative_to(root)) for file in kept],
        content=_images(heights, widths, np.stack([one.small for one in images]), lambda i: _picture(kept[i])),
        sizes={"height": size, "width": size, "channels": 3},
        damaged=damaged,
        notes=tuple(listed.notes),
    )


def _see(file: Path) -> _Seen:
    size = (0, 0)

    def least(width: int, height: int) -> tuple[int, int]:
        nonlocal size
        size = width, height
        return ENOUGH, ENOUGH

    image, _ = read(file, least)
    pixels = np.asarray(image)
    width, height = size
    return _Seen(height, width, digest(pixels.tobytes() + b"%d" % pixels.shape[0]), _small(image))


def _small(image: object) -> np.ndarray:
    """A Pillow image as uint8 [16, 16, 3], not cropped, so that what differs at the edges is another image."""
    return np.asarray(image.resize((SMALL, SMALL), 4))  # type: ignore[attr-defined]  # 4: Pillow's box filter


def _picture(file: Path) -> np.ndarray:
    return np.asarray(read(file, lambda width, height: (ENOUGH, ENOUGH))[0])


def _images(heights: np.ndarray, widths: np.ndarray, colour: np.ndarray, picture: object) -> Images:
    """colour: uint8 [N, 16, 16, C]."""
    spread = colour.reshape(len(colour), -1, colour.shape[-1])
    return Images(
        heights=heights,
        widths=widths,
        colourful=np.ptp(spread, axis=2).max(1) > GREY if colour.shape[-1] > 1 else np.zeros(len(colour), bool),
        flat=np.ptp(spread, axis=1).max(1) == 0,
        small=np.rint(colour.mean(-1)).astype(np.uint8),
        picture=picture,  # type: ignore[arg-type]
    )
