"""Image classification, the images read from their files while a network trains: a few batches at a time.

Reading crops and mirrors (`data/_stream.py`); all else is done to a batch inside the jitted step, as in `images.py`.
Axis letters: K batches of an update, B batch, H W C.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.config import AugmentConfig, Config
from dnas.data import joined_notes
from dnas.data._files import check_memory
from dnas.data._stream import Host, batches, examples, reader
from dnas.data._streamed import Streamed
from dnas.data.augment import fit
from dnas.errors import UserError
from dnas.tasks.images import ImageSteps, OfImages, check_search, check_training, training_options, training_splits
from dnas.tasks.task import EVALUATION_BATCH, Binding, Level, pure_part
from dnas.types import Batch, Tree


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamSteps(ImageSteps):
    """What traced functions hold. A step reads ((images [K, B, H, W, C], labels [K, B]), moments)."""

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return jnp.zeros(0, jnp.int32)  # files are read in their order

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        (x, y), moments = arrays
        here = number % len(x)
        return self.augmented(x[here], y[here], moments, key)


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageStream(StreamSteps, OfImages):
    """`task.Task` and `task.Streaming` of images in files. mirrored: whether every second crop is."""

    splits: Streamed
    mirrored: bool = True
    name: ClassVar[str] = "image_stream"

    @property
    def pure(self) -> Any:
        return pure_part(self, StreamSteps)

    def arrays(self, part: str) -> Tree:
        return self.moments

    def rows(self, level: Level) -> Tree:
        labels = jax.ShapeDtypeStruct((level.batches, level.size), np.int32)
        return jax.ShapeDtypeStruct((*labels.shape, *self.splits.shape), np.uint8), labels

    def updates(self, level: Level, first: int, last: int, seed: int) -> Iterator[Tree]:
        part, size, together = level
        source = examples(
            self.splits.part(part),
            self.splits.size,
            size,
            steps=(last - first) * together,
            first=first * together,
            seed=int(keys.generator(seed, f"{part} files").integers(2**32)),
            mirrored=self.mirrored,
            together=together,
        )

        def shaped(rows: tuple[np.ndarray, np.ndarray]) -> Tree:
            return tuple(leaf.reshape(together, -1, *leaf.shape[1:]) for leaf in rows)

        return map(shaped, batches(source, self.splits.workers))  # which keeps none of them

    def pieces(self, part: str, size: int) -> Iterator[Tree]:
        return self._pieces(part, size, None)

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        count = self.splits.count(part)
        what = f"{count:,} images of {self.splits.size} pixels"
        check_memory(count * math.prod(self.splits.shape), what, "choose a smaller size, portion or limit")
        rows = zip(*self._pieces(part, min(EVALUATION_BATCH, count), Host()), strict=True)
        return tuple(map(np.concatenate, rows)), self.moments

    def labelled(self, part: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The examples of a part and their classes."""
        for x, y, counted in self._pieces(part, min(EVALUATION_BATCH, self.splits.count(part)), Host()):
            yield x[counted], y[counted]

    def _pieces(self, part: str, size: int, host: Host | None) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """host: by default this process; `Host()`: it reads all."""
        files, pixels = self.splits.part(part), self.splits.size
        source = examples(files, pixels, size, steps=self.steps(part, size), train=False, host=host)

        def shaped(number: int, rows: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            places = number * size + source.host.number * source.local + np.arange(source.local)
            return rows[0][None], rows[1][None], (places < len(files.files))[None]

        return map(shaped, itertools.count(), batches(source, self.splits.workers))


def task() -> Binding:
    """Images as they come: whatever else varies is in the config."""

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[ImageStream, Any]:
        if not isinstance(dataset, Streamed):
            raise UserError(
                f"The task 'image_stream' needs images that stay in their files, such as 'imagenet', not "
                f"'{dataset.name}'."
            )
        check(dataset, plan, config, stage)
        if stage == "search":
            splits, options = dataset.divided(plan.valid_portion, config.seed % 2**32), {}
            check_search(plan, splits)
        else:
            splits, options = training_splits(dataset, plan), training_options(plan, len(dataset.classes))
            check_training(plan, splits.name, splits.count("train"), splits.shape[-1])
        recipe, note = fit(replace(plan.augment, pad=0), *splits.shape[:2], mirrors=True)
        task = ImageStream(
            splits=replace(splits, note=joined_notes(splits.note, note)),
            stage=stage,
            mirrored=recipe.flip,
            recipe=replace(recipe, flip=False),
            dtype=config.dtype,
            **options,
        )
        return task, replace(plan, augment=task.recipe)

    return bind


def check(dataset: Streamed, plan: Any, config: Config, stage: str) -> None:
    """Errors: `UserError` for what does not go together with images that are read while a network trains."""
    reader()
    if config.seeds > 1:
        raise UserError(
            f"seeds is {config.seeds}, and the images of '{dataset.name}' are read for one run at a time: start a run "
            "for each seed."
        )
    if plan.augment.pad not in (0, AugmentConfig().pad):
        raise UserError(
            f"{stage}.augment.pad is {plan.augment.pad}, and training images of '{dataset.name}' are cropped at random "
            "when they are read: leave it out."
        )


def as_test(splits: Streamed, part: str, mean: np.ndarray, std: np.ndarray, config: Config) -> ImageStream:
    """The task of a training whose test part is a part of these, normalised by the moments of its own images."""
    shown = replace(splits, test=splits.part(part), mean=mean, std=std)
    return ImageStream(splits=shown, recipe=config.retrain.augment, dtype=config.dtype)
