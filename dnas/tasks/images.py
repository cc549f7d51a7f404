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
from dnas.data.augment import augment, fitted, normalise
from dnas.errors import UserError
from dnas.tasks.classification import Classification, told
from dnas.tasks.mixing import chosen
from dnas.tasks.rand_augment import CHANNELS, rand_augment
from dnas.tasks.task import EVALUATION_BATCH, VALIDATES, Binding, Shape, Sums, padded_rows, pure_part, random_order
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
        options: dict[str, Any] = {**dataclasses.asdict(self.recipe), "dtype": jnp.dtype(self.dtype)}
        mixed = chosen(self.mixup, self.cutmix)
        if mixed is None and not self.rand_augment:
            return Batch(augment(key, x[rows], *moments, **options), y[rows])
        more = None
        if self.rand_augment:
            more = partial(rand_augment(self.rand_augment, self.magnitude), keys.stream(key, "rand augment"))
        images = augment(keys.stream(key, "crop"), x[rows], *moments, **options, more=more)
        if mixed is None:
            return Batch(images, y[rows])
        return Batch(*mixed(keys.stream(key, "mixing"), images, jax.nn.one_hot(y[rows], self.labels)))

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        x, y, counted = row
        mean, std = constants
        return Batch(normalise(x, mean, std, jnp.dtype(self.dtype)), y, counted)


@dataclass(frozen=True, eq=False, kw_only=True)
class Images(ImageSteps):
    """`task.Task` of images and their labels."""

    splits: datasets.Splits
    stage: str = "search"
    name: ClassVar[str] = "images"
    takes: ClassVar[str] = "images"

    @property
    def pure(self) -> Any:
        return pure_part(self, ImageSteps)

    @property
    def shape(self) -> Shape:
        return Shape(len(self.splits.classes), self.splits.train_x.shape[1:])

    @property
    def note(self) -> str:
        return self.splits.note

    @property
    def sizes(self) -> str:
        splits = self.splits
        if not len(splits.valid_x):
            return f"{splits.name} ({len(splits.train_x)} images)"
        valid = f"{len(splits.valid_x)} {VALIDATES[self.stage]}"
        return f"{splits.name}: {len(splits.train_x)} images for the weights, {valid}"

    def described(self) -> dict[str, Any]:
        return datasets.described(self.splits)

    def arrays(self, part: str) -> Tree:
        return *self._part(part), (self.splits.mean, self.splits.std)

    def steps(self, part: str, batch_size: int) -> int:
        return -(-len(self._part(part)[0]) // batch_size)

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        x, y = self._part(part)
        rows, counted = padded_rows(len(x), min(EVALUATION_BATCH, len(x)))
        return (x[rows], y[rows], counted), (self.splits.mean, self.splits.std)

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
        return (x, None, None), (self.splits.mean, self.splits.std)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities [B, classes]."""
        return np.asarray(jax.nn.softmax(logits.astype(np.float32)))

    def labelled(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """The examples of a part and their classes."""
        return self._part(part)

    def measures(self, sums: Sums) -> dict[str, float]:
        return told(super().measures(sums), len(self.splits.classes))

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
            check_training(plan, splits)
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


def training_splits(dataset: datasets.Dataset, plan: RetrainConfig) -> datasets.Splits:
    """What a training reads, the same for every seed: seeds differ in what they draw, not in the data."""
    return datasets.split(dataset, plan.valid_portion, 0)


def check_training(plan: RetrainConfig, splits: datasets.Splits) -> None:
    """Refuse a training that its data cannot feed."""
    if len(splits.train_x) < plan.batch_size:
        raise UserError(
            f"retrain.batch_size is {plan.batch_size}, but '{splits.name}' has {len(splits.train_x)} "
            f"train images: choose a batch of at most {len(splits.train_x)}."
        )
    channels = splits.train_x.shape[-1]
    if plan.rand_augment and channels not in CHANNELS:
        raise UserError(
            f"retrain.rand_augment is {plan.rand_augment}, which takes images of 1 or 3 channels, and those of "
            f"'{splits.name}' have {channels}: leave it out."
        )
    if plan.magnitude != RetrainConfig().magnitude and not plan.rand_augment:
        raise UserError(
            f"retrain.magnitude is {plan.magnitude}, that of RandAugment, which is off: set retrain.rand_augment to 2, "
            "say, or leave it out."
        )
    for name, value in {"mixup": plan.mixup, "cutmix": plan.cutmix}.items():
        if value and plan.batch_size == 1:
            raise UserError(f"retrain.{name} is {value:g}, and a batch of one image has nothing to mix: leave it out.")


def check_search(plan: SearchConfig, splits: datasets.Splits) -> None:
    """Refuse a search that its data cannot feed."""
    size, what = plan.batch_size, {"train": splits.train_x, "validation": splits.valid_x}
    inner = plan.inner_steps
    if size <= len(splits.train_x) < size * inner:
        raise UserError(
            f"search.inner_steps is {inner}, each with a batch of {size}, but the train part of '{splits.name}' has "
            f"{len(splits.train_x)} images: choose at most {len(splits.train_x) // size}."
        )
    if not len(splits.valid_x):
        raise UserError(
            "search.valid_portion is 0, but cells are chosen by the accuracy on validation images, also where a single "
            "level does not train on them: choose a portion above 0, say 0.1."
        )
    for part, images in what.items():
        if len(images) < size:
            raise UserError(
                f"search.batch_size is {size}, but the {part} part of '{splits.name}' has {len(images)} images: "
                f"choose a batch of at most {len(images)}."
            )
