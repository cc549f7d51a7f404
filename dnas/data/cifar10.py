"""CIFAR-10: 60,000 colour images, 32x32, 10 classes; the official python archive.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import numpy as np

from dnas.data import Dataset, Location, tailored
from dnas.data._cifar import class_names, images_and_labels, locate_cifar, read_members
from dnas.ranges import Limit, Size

ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
TRAIN, TEST, META = [f"data_batch_{i}" for i in range(1, 6)], "test_batch", "batches.meta"


def dataset(*, size: Size = 0, limit: Limit = 0) -> Dataset:
    """50,000 train images, in the order of the five batches, and 10,000 test images."""
    place = locate().require("cifar10", ARCHIVE)
    members = read_members(place, FOLDER, [*TRAIN, TEST, META])
    parts = {name: images_and_labels(members[name], "labels", place / name) for name in [*TRAIN, TEST]}
    train_x, train_y = (np.concatenate([parts[name][i] for name in TRAIN]) for i in (0, 1))
    classes = class_names(members[META], "label_names", 10, place / META)
    return tailored(Dataset("cifar10", train_x, train_y, *parts[TEST], classes), size=size, limit=limit)


def locate() -> Location:
    return locate_cifar("cifar10", ARCHIVE, FOLDER)
