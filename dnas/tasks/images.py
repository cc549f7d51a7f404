"""Image classification; images are augmented and normalised inside the jitted step.

Axis letters: B batch, H W C.
"""

import dataclasses
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dnas import data as datasets
from dnas import keys
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.data._arrays import as_images
from dnas.data._streamed import Streamed
from dnas.data.augment import augment, fitted, normalise
from dnas.errors import UserError
from dnas.tasks.classification import Classification, told
from dnas.tasks.mixing import chosen
from dnas.tasks.rand_augment import CHANNELS, rand_augment
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.task import EVALUATION_BATCH, VALIDATES, Binding, Shape, Sums, pure_part
from dnas.types import Batch, Tree


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSteps(Classification):
    """What traced functions hold. recipe: of the augmentation. dtype: of the normalised images. mixup, cutmix,
    rand_augment, magnitude: as in `RetrainConfig`. labels: how many there are, where labels are mixed."""

    recipe: AugmentConfig
    dtype: str
    mixup: float = 0.0
    cutmix: float = 0.0
    rand_augment: int = 0
    magnitude: int = 9
    labels: int = 0

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return random_order(key, len(arrays[0]), needed)

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        x, y, moments = arrays
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        return self.augmented(x[rows], y[rows], moments, key)

    def augmented(self, x: jax.Array, y: jax.Array, moments: Tree, key: jax.Array) -> Batch:
        """The training batch of images uint8 [B, H, W, C] and labels [B]; moments: (mean, std) of the training part."""
        options: dict[str, Any] = {**dataclasses.asdict(self.recipe), "dtype": jnp.dtype(self.dtype)}
        mixed = chosen(self.mixup, self.cutmix)
        if mixed is None and not self.rand_augment:
            return Batch(augment(key, x, *moments, **options), y)
        more = None
        if self.rand_augment:
            more = partial(rand_augment(self.rand_augment, self.magnitude), keys.stream(key, "rand augment"))
        images = augment(keys.stream(key, "crop"), x, *moments, **options, more=more)
        if mixed is None:
            return Batch(images, y)
        return Batch(*mixed(keys.stream(key, "mixing"), images, jax.nn.one_hot(y, self.labels)))

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        x, y, counted = row
        mean, std = constants
        return Batch(normalise(x, mean, std, jnp.dtype(self.dtype)), y, counted)


@dataclass(frozen=True, eq=False, kw_only=True)
class OfImages(ImageSteps):
    """What is the same wherever the images of `splits` are: in memory (`Splits`), or in files (`Streamed`)."""

    splits: Any
    stage: str = "search"
    takes: ClassVar[str] = "images"

    @property
    def shape(self) -> Shape:
        return Shape(len(self.splits.classes), self.splits.shape)

    @property
    def note(self) -> str:
        return self.splits.note

    @property
    def sizes(self) -> str:
        splits, train = self.splits, self.splits.count("train")
        if not splits.count("valid"):
            return f"{splits.name} ({train} images)"
        return f"{splits.name}: {train} images for the weights, {splits.count('valid')} {VALIDATES[self.stage]}"

    @property
    def moments(self) -> Tree:
        """Mean and standard deviation of the channels."""
        return self.splits.mean, self.splits.std

    def described(self) -> dict[str, Any]:
        return self.splits.described()

    def steps(self, part: str, batch_size: int) -> int:
        return -(-self.splits.count(part) // batch_size)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.splits.classes

    def inputs(self, given: object) -> np.ndarray:
        """Images as the data set gives them, uint8 [B, H, W, C], or floats in [0, 1], of one channel also [B, H, W].

        Errors: `UserError` for images of another size, type or number of channels.
        """
        if isinstance(given, np.ndarray | jax.Array) and given.shape == self.shape.inputs:
            raise UserError(f"Expected images [B, H, W, C], got one of {list(given.shape)}: add a first axis, x[None].")
        x = as_images(given, "The images")
        if x.shape[1:] != self.shape.inputs:
            raise UserError(
                f"This network was trained on images {list(self.shape.inputs)} [H, W, C], got {list(x.shape[1:])}: "
                "give it images of that size and number of channels."
            )
        return x

    def as_row(self, x: np.ndarray) -> tuple[Tree, Tree]:
        """What `evaluation_batch` takes, of inputs alone."""
        return (x, None, None), self.moments

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities [B, classes]."""
        return np.asarray(jax.nn.softmax(logits.astype(np.float32)))

    def seen(self, part: str, place: int, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": x}

    def measures(self, sums: Sums) -> dict[str, float]:
        return told(super().measures(sums), len(self.splits.classes))


@dataclass(frozen=True, eq=False, kw_only=True)
class Images(OfImages):
    """`task.Task` of images and their labels, all in memory."""

    splits: datasets.Splits
    name: ClassVar[str] = "images"

    @property
    def pure(self) -> Any:
        return pure_part(self, ImageSteps)

    def arrays(self, part: str) -> Tree:
        return *self._part(part), self.moments

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        x, y = self._part(part)
        rows, counted = padded_rows(len(x), min(EVALUATION_BATCH, len(x)))
        return (x[rows], y[rows], counted), self.moments

    def labelled(self, part: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """The examples of a part and their classes."""
        return [self._part(part)]

    def _part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        return getattr(self.splits, f"{part}_x"), getattr(self.splits, f"{part}_y")


def task() -> Binding:
    """Images as they come: whatever else varies is in the config."""

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[Images, Any]:
        if not isinstance(dataset, datasets.Dataset):
            raise UserError(f"The task 'images' needs a data set of images, not '{dataset.name}'.")
        if stage == "search":
            splits = datasets.split(dataset, plan.valid_portion, config.seed % 2**32)
            check_search(plan, splits)
        else:
            splits = training_splits(dataset, plan)
            check_training(plan, splits.name, len(splits.train_x), splits.shape[-1])
        recipe, splits = fitted(plan.augment, splits)
        options = {} if stage == "search" else training_options(plan, len(splits.classes))
        task = Images(splits=splits, stage=stage, recipe=recipe, dtype=config.dtype, **options)
        return task, replace(plan, augment=recipe)

    return bind


def training_options(plan: RetrainConfig, classes: int) -> dict[str, Any]:
    """What a training's steps hold beside what those of a search do."""
    losses = {"smoothing": plan.label_smoothing, "auxiliary": plan.auxiliary}
    changes = {name: getattr(plan, name) for name in ("mixup", "cutmix", "rand_augment", "magnitude")}
    return losses | changes | {"labels": classes}


def training_splits(dataset: Any, plan: RetrainConfig) -> Any:
    """What a training reads, the same for every seed: seeds differ in what they draw, not in the data.

    Of a `data.Dataset` its `Splits`, of a `Streamed` one with its parts. Errors: `UserError` as of `data.split`.
    """
    if isinstance(dataset, Streamed):
        return dataset.divided(plan.valid_portion, 0)
    return datasets.split(dataset, plan.valid_portion, 0)


def check_training(plan: RetrainConfig, name: str, count: int, channels: int) -> None:
    """Refuse a training that its data, so many training images of so many channels, cannot feed."""
    if count < plan.batch_size:
        raise UserError(
            f"retrain.batch_size is {plan.batch_size}, but '{name}' has {count} train images: choose a batch of at "
            f"most {count}."
        )
    if plan.rand_augment and channels not in CHANNELS:
        raise UserError(
            f"retrain.rand_augment is {plan.rand_augment}, which takes images of 1 or 3 channels, and those of "
            f"'{name}' have {channels}: leave it out."
        )
    if plan.magnitude != RetrainConfig().magnitude and not plan.rand_augment:
        raise UserError(
            f"retrain.magnitude is {plan.magnitude}, that of RandAugment, which is off: set retrain.rand_augment to 2, "
            "say, or leave it out."
        )
    for name, value in {"mixup": plan.mixup, "cutmix": plan.cutmix}.items():
        if value and plan.batch_size == 1:
            raise UserError(f"retrain.{name} is {value:g}, and a batch of one image has nothing to mix: leave it out.")


def check_search(plan: SearchConfig, splits: Any) -> None:
    """Refuse a search that its data cannot feed."""
    size, inner, train, valid = plan.batch_size, plan.inner_steps, splits.count("train"), splits.count("valid")
    if size <= train < size * inner:
        raise UserError(
            f"search.inner_steps is {inner}, each with a batch of {size}, but the train part of '{splits.name}' has "
            f"{train} images: choose at most {train // size}."
        )
    if not valid:
        raise UserError(
            "search.valid_portion is 0, but cells are chosen by the accuracy on validation images, also where a single "
            "level does not train on them: choose a portion above 0, say 0.1."
        )
    for part, images in {"train": train, "validation": valid}.items():
        if images < size:
            raise UserError(
                f"search.batch_size is {size}, but the {part} part of '{splits.name}' has {images} images: choose a "
                f"batch of at most {images}."
            )
