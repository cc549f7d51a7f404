"""What images and texts must be like for a network, by what its run noted of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas import data as datasets
from dnas.config import Config
from dnas.data import Text
from dnas.data._pairs import Pairs
from dnas.data._sentences import Sentences
from dnas.data._texts import with_vocabulary
from dnas.errors import UserError
from dnas.tasks.images import Images


class Looks(NamedTuple):
    """What a network was trained on: shape [H, W, C] and normalisation of its images, names of its classes."""

    shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]


def looks_of(description: Mapping[str, Any], folder: Path) -> Looks | None:
    """By data.json, of a network that reads images; None: they are spectra of sounds. Errors: `UserError` where it does
    not say."""
    match description:
        case {"sound": _}:
            return None
        case {"image": [int(), int(), int(channels)], "mean": [*mean], "std": [*std], "classes": [*classes]}:
            numbers = [*mean, *std]
            if len(mean) == len(std) == channels and all(isinstance(n, int | float) for n in numbers):
                moments = np.array(mean, np.float32), np.array(std, np.float32)
                return Looks(tuple(description["image"]), *moments, tuple(map(str, classes)))
    raise UserError(
        f"{folder / 'data.json'} does not say what the images were like: the run was made by an earlier version, or "
        "the file is damaged."
    )


def images_as_test(looks: Looks, x: np.ndarray, y: np.ndarray, config: Config) -> Images:
    """The task of a training of images, with these as its test part."""
    none = x[:0], y[:0]
    splits = datasets.Splits(*none, *none, x, y, looks.mean, looks.std, looks.classes, note="", name="")
    return Images(splits=splits, recipe=config.retrain.augment, dtype=config.dtype)


def no_images(looks: Looks, config: Config) -> Images:
    """The task without data, which predicts."""
    return images_as_test(looks, np.zeros((0, *looks.shape), np.uint8), np.zeros(0, np.int32), config)


def in_tokens_of(dataset: Any, description: Mapping[str, Any]) -> Any:
    """Texts that are read by the tokens of the run that noted them; other data as they are."""
    if isinstance(dataset, Text) and description.get("vocabulary"):
        if (unit := description.get("tokens", "words")) != dataset.unit:
            raise UserError(f"The network reads {unit}, and '{dataset.name}' has {dataset.unit}: set tokens={unit}.")
        return with_vocabulary(dataset, description["vocabulary"])
    if isinstance(dataset, Sentences) and description.get("tokeniser"):
        return replace(dataset, tokeniser=str(description["tokeniser"]))
    if isinstance(dataset, Pairs) and description.get("tokenisers"):
        return replace(dataset, tokenisers=tuple(map(str, description["tokenisers"])))
    return dataset
