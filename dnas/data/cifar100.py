"""CIFAR-100: 60,000 colour images, 32x32, 100 (fine) classes; the official python archive.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from dnas.data import Dataset, Location, tailored
from dnas.data._cifar import class_names, images_and_labels, locate_cifar, read_members
from dnas.ranges import Limit, Size

ARCHIVE, FOLDER = "cifar-100-python.tar.gz", "cifar-100-python"


def dataset(*, size: Size = 0, limit: Limit = 0) -> Dataset:
    """50,000 train and 10,000 test images."""
    place = locate().require("cifar100", ARCHIVE)
    members = read_members(place, FOLDER, ["train", "test", "meta"])
    train_x, train_y = images_and_labels(members["train"], "fine_labels", place / "train")
    test_x, test_y = images_and_labels(members["test"], "fine_labels", place / "test")
    classes = class_names(members["meta"], "fine_label_names", 100, place / "meta")
    return tailored(Dataset("cifar100", train_x, train_y, test_x, test_y, classes), size=size, limit=limit)


def locate() -> Location:
    return locate_cifar("cifar100", ARCHIVE, FOLDER)
