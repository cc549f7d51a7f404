"""Fashion-MNIST: 70,000 grey images of clothes, 28x28, 10 classes; free to install as a Debian package.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", 2017.
"""

import gzip
import struct
from pathlib import Path

import numpy as np

from dnas.data import Dataset, Location, data_dir, tailored
from dnas.data._files import first_existing, reading
from dnas.paths import opened
from dnas.ranges import Limit, Size

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
IMAGES_MAGIC, LABELS_MAGIC, SIDE, MOST = 2051, 2049, 28, 60_000


def dataset(*, size: Size = 0, limit: Limit = 0) -> Dataset:
    """60,000 train and 10,000 test images."""
    location = locate()
    folder = location.require("fashion_mnist", ", ".join(FILES))
    train_x, train_y, test_x, test_y = (_read_idx(folder / file) for file in FILES)
    for x, y, file in ((train_x, train_y, FILES[0]), (test_x, test_y, FILES[2])):
        with reading(folder / file, _REMEDY):
            if len(x) != len(y):
                raise ValueError(f"{len(x)} images, but the labels beside it are {len(y)}")
    return tailored(Dataset("fashion_mnist", train_x, train_y, test_x, test_y, CLASSES), size=size, limit=limit)


def locate() -> Location:
    folders = (data_dir() / "fashion_mnist", data_dir(), DEBIAN)
    found = first_existing(folder / file for folder in folders for file in FILES)
    return Location(
        folders,
        found and found.parent,
        "Install Debian's package (apt install dataset-fashion-mnist) or put the four .gz files of "
        f"https://github.com/zalandoresearch/fashion-mnist into {folders[0]}.",
        "MIT, Zalando SE",
    )


_REMEDY = "get the four .gz files of Fashion-MNIST again"


def _read_idx(path: Path) -> np.ndarray:
    """Images uint8 [N, 28, 28, 1] or labels int32 [N], by the file's name."""
    wants_images = "images" in path.name
    with reading(path, _REMEDY), opened(path) as packed, gzip.open(packed) as file:
        magic, count = struct.unpack(">II", file.read(8))
        if magic != (IMAGES_MAGIC if wants_images else LABELS_MAGIC):
            raise ValueError(f"its magic number is {magic}")
        if not 0 < count <= MOST:
            raise ValueError(f"it promises {count} items")
        if not wants_images:
            return np.frombuffer(_exactly(file, count), np.uint8).astype(np.int32)
        rows, columns = struct.unpack(">II", file.read(8))
        if (rows, columns) != (SIDE, SIDE):
            raise ValueError(f"its images are {rows}x{columns}, not {SIDE}x{SIDE}")
        return np.frombuffer(_exactly(file, count * SIDE * SIDE), np.uint8).reshape(count, SIDE, SIDE, 1)


def _exactly(file: gzip.GzipFile, count: int) -> bytes:
    data = file.read(count + 1)  # one more: a longer file is not what its header says either
    if len(data) != count:
        raise ValueError(f"it promises {count} bytes and has {'more' if len(data) > count else len(data)}")
    return data
