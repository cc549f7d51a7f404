"""ImageNet, or any images too many for memory, by class folders: read from the disk while a network trains.

`path/train/<class>/*` and `path/val/<class>/*`, as ILSVRC 2012 lies once it is unpacked (Russakovsky et al. 2015,
arXiv:1409.0575): 1,281,167 and 50,000 images of 1,000 classes. The labels of its own test part are not public: what is
called its test accuracy is measured on `val`, which here is the test part too and selects nothing; what selects reads
a portion of the training images. How images are cropped, `_stream.py` says; they are resized with bilinear filters.
"""

from typing import Annotated

import numpy as np

from dnas.data import Location, joined_notes, limited
from dnas.data._files import users_path
from dnas.data._stream import check_size, folder
from dnas.data._streamed import Streamed
from dnas.errors import UserError
from dnas.ranges import Limit, Range, Size

CROPS = "training images are random crops of 8 to 100 % of the area, others the middle 7/8"


def dataset(
    *, path: str = "", size: Size = 224, limit: Limit = 0, workers: Annotated[int, Range(0, 256)] = 0
) -> Streamed:
    """RGB images of size x size pixels. workers: processes of each host that read them, a core each;
    0: two threads of the training itself. limit: that many train images and a fifth as many test images."""
    if not path:
        raise UserError(f"The data set 'imagenet' needs the path of a folder: {_HOW}")
    check_size(size)
    root = users_path(path)
    found = folder(root)
    if found.test is None:
        raise UserError(f"{root} has no folder val with one folder of images per class, which are tested on: {_HOW}")
    lacking = np.bincount(found.test.labels, minlength=len(found.classes)) == 0
    if lacking.any():
        name = found.classes[int(lacking.argmax())]
        raise UserError(f"The training images of {root} have the class '{name}', and its test images have not: {_HOW}")
    train, test, limit_note = limited(found.train.labels, found.test.labels, limit)
    return Streamed(
        root.resolve().name,
        root,
        found.classes,
        found.train.taken(train),
        found.test.taken(test),
        size,
        workers,
        joined_notes(found.note, limit_note, CROPS),
    )


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


_HOW = "write imagenet:path=FOLDER, where FOLDER/train and FOLDER/val have the same folders, one per class."
