"""The reader of CIFAR's "python version": an archive or its folder of pickles, which are never executed."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas.data import Location, data_dir
from dnas.data._archives import read_tar
from dnas.data._files import first_existing, reading
from dnas.data._pickles import Array, Format, is_text, load
from dnas.errors import UserError
from dnas.paths import opened

SIDE, CHANNELS = 32, 3
MOST_BYTES = 300_000_000  # the largest member, CIFAR-100's train, has 155 MB, and a whole archive 186 MB


def locate_cifar(name: str, archive: str, folder: str) -> Location:
    places = [parent / entry for parent in (data_dir() / name, data_dir()) for entry in (folder, archive)]
    how = f"Download https://www.cs.toronto.edu/~kriz/{archive} into {data_dir()}."
    return Location(tuple(places), first_existing(places), how)


def read_members(place: Path, folder: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The named pickles of an archive or an extracted folder. Errors: `UserError` that names the member."""
    contents = _read_folder(place, names) if os.path.isdir(place) else _read_archive(place, folder, names)
    for name in names:
        if name not in contents:
            raise UserError(f"{place} has no member '{folder}/{name}': {_REMEDY}.")
    return {name: unpickle(contents[name], place / name) for name in names}


def images_and_labels(batch: dict[str, Any], labels_key: str, where: Path) -> tuple[np.ndarray, np.ndarray]:
    """One batch: uint8 [N, 32, 32, 3] and int32 [N]. On file an image is 3 planes of 32 rows."""
    with reading(where, _REMEDY):
        data, listed = batch["data"], batch[labels_key]
        if not isinstance(listed, np.ndarray) and not all(isinstance(label, int) for label in listed):
            raise ValueError("its labels are no list of whole numbers")  # lists in lists can be of any size
        labels = np.asarray(listed)
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise ValueError("its 'data' is no uint8 array")
        if data.ndim != 2 or data.shape[1] != CHANNELS * SIDE * SIDE:
            raise ValueError(f"its images have shape {list(data.shape)}")
        if labels.shape != data.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{len(data)} images, but labels of shape {list(labels.shape)}")
        if labels.min(initial=0) < 0 or labels.max(initial=0) > 99:
            raise ValueError(f"its labels run from {labels.min()} to {labels.max()}")
        images = data.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images), labels.astype(np.int32)


def class_names(meta: dict[str, Any], key: str, count: int, where: Path) -> tuple[str, ...]:
    with reading(where, _REMEDY):
        names = meta[key]
        if len(names) != count or not all(isinstance(name, (str, bytes)) and len(name) < 100 for name in names):
            raise ValueError(f"'{key}' is no list of {count} names")
        return tuple(name.decode() if isinstance(name, bytes) else name for name in names)


def unpickle(content: bytes, where: Path) -> dict[str, Any]:
    """A pickled dict with text keys. Errors: `UserError` if it is broken or asks for more than arrays."""
    with reading(where, _REMEDY):
        content_dict = load(content, where, _FORMAT)
        if not isinstance(content_dict, dict):
            raise ValueError("it holds no dict")
        unpacked = {k.decode() if isinstance(k, bytes) else k: v for k, v in content_dict.items()}
        return {k: v.array if isinstance(v, Array) else v for k, v in unpacked.items()}


_REMEDY = "download the archive again from https://www.cs.toronto.edu/~kriz/cifar.html"
_FORMAT = Format("CIFAR file", _REMEDY, types="[iu][1248]", is_key=is_text)


def _read_folder(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        with reading(place / name, _REMEDY), opened(place / name, MOST_BYTES) as file:
            contents[name] = file.read()
    return contents


def _read_archive(place: Path, folder: str, names: Sequence[str]) -> dict[str, bytes]:
    with reading(place, _REMEDY), opened(place) as packed, gzip.open(packed) as archive:
        found = read_tar(archive, [f"{folder}/{name}" for name in names], 2 * MOST_BYTES)
        return {name.removeprefix(f"{folder}/"): content for name, content in found.items()}
