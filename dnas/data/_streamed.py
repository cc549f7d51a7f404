"""A data set of images that stay in their files, and are read while a network trains: see `_stream.py`."""

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dnas.data import joined_notes, portioned, record_of, untrained
from dnas.data._stream import Part

MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of ImageNet's training images in 0..255, by channel, as the
STD = np.array([58.395, 57.12, 57.375], np.float32)  # field has it: torchvision, timm, TensorFlow's EfficientNet
NONE = Part((), np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Streamed:
    """The parts of a data set, by the files of their images, all below `root`; valid is empty until it is divided.

    size: side of the RGB images that networks read. workers: processes of each host that read them; 0: threads of the
    training. mean, std: float32 [C], in 0..255, by which they are normalised.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    train: Part
    test: Part
    size: int
    workers: int = 0
    note: str = ""
    valid: Part = NONE
    mean: np.ndarray = field(default_factory=MEAN.copy)
    std: np.ndarray = field(default_factory=STD.copy)
    task: ClassVar[str] = "image_stream"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image, [H, W, C]."""
        return self.size, self.size, 3

    def part(self, name: str) -> Part:
        """The part "train", "valid" or "test"."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    def count(self, part: str) -> int:
        """How many images a part has."""
        return len(self.part(part).files)

    def divided(self, valid_portion: float, seed: int) -> "Streamed":
        """With a portion of the train part as validation part: the same rows that `data.split` takes of as many.

        Errors: `UserError` as of `data.portioned`.
        """
        rows, held = portioned(self.name, self.count("train"), valid_portion, seed)
        train = self.train.taken(rows)
        note = joined_notes(self.note, untrained(self.classes, train.labels, self.test.labels))
        return replace(self, train=train, valid=self.train.taken(held), note=note)

    def described(self) -> dict[str, Any]:
        """As `data.Splits.described`; the checksum is of the names and classes of the training images, not of what they
        show, which would have to be read."""
        names = "\0".join(path[len(str(self.root)) :] for path in self.train.files)
        return record_of(self, zlib.crc32(self.train.labels.tobytes(), zlib.crc32(names.encode(errors="replace"))))
