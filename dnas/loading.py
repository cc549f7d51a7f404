"""A training that has ended, loaded and used: `found = dnas.load("runs/first/retrain")`.

    found.predict(inputs)      probabilities, of images as the data set gives them, of rows of a table; or numbers
    found.evaluate()           the score of the report, to the last example; or, of images, on other data
    found.network              a Flax module in evaluation, of what the task makes of inputs
    found.summary()            a table of its layers
    found.save_weights(path)   an .npz of plain arrays by name

Of images all that is needed lies in the run folder: the genotype, the newest checkpoint, and in data.json how images
were normalised. Other tasks read the data set of the run again, and refuse one that has changed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict

from dnas import data as datasets
from dnas import find
from dnas.architectures.genotype import Genotype, check, from_json
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.data._arrays import as_images, as_labels
from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.files import storage
from dnas.nets.functional import Deferred, Functional, functionalize
from dnas.nets.network import Network
from dnas.paths import replaced
from dnas.retrain import evaluate_one, network_of, network_size_of
from dnas.runs import checkpoints, records
from dnas.runs import weights as weights_of
from dnas.tasks import binding
from dnas.tasks.images import Images, training_splits
from dnas.tasks.tabular import TableClasses, TableNumbers
from dnas.tasks.task import EVALUATION_BATCH, Sums, Task, means, padded_rows
from dnas.types import Batch, Tree


class Looks(NamedTuple):
    """What a network was trained on: shape [H, W, C] and normalisation of its images, names of its classes."""

    shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]


class Evaluation(NamedTuple):
    """On a test part: the measures of the task, "loss" among them; and of images how many of each class (rows) were
    taken for which (columns) [classes, classes]."""

    measures: Mapping[str, float]
    confusion: np.ndarray | None = None

    @property
    def loss(self) -> float:
        """Mean loss, without regularisers."""
        return self.measures["loss"]

    @property
    def accuracy(self) -> float:
        """Share of what is classified right."""
        return self.measures["accuracy"]

    @property
    def top5_accuracy(self) -> float:
        """Share of what has its class among the first five answers."""
        return self.measures["top5_accuracy"]


@dataclass(frozen=True)
class Found:
    """A trained network and what it takes to use it; `load` makes it."""

    folder: Path
    config: Config
    genotype: Genotype
    seed: int
    task: Task
    looks: Looks | None
    functional: Functional
    weights: Tree
    stats: Tree
    layout: Any
    facts: Any

    @cached_property
    def network(self) -> Network:
        """A Flax module in evaluation: normalised images [B, H, W, C] -> Outputs; also under `jax.jit`. Of a run in
        float64 inside `jax.enable_x64(True)`."""
        network = nnx.merge(self.layout, nnx.State(self.weights), nnx.State(self.stats))
        return nnx.view(network, use_running_average=True)

    @property
    def images(self) -> Looks:
        """What images are like. Errors: `UserError` for a network of other things."""
        if self.looks is None:
            raise UserError(f"The network of {self.folder} reads {self.task.takes}, no images.")
        return self.looks

    def summary(self) -> str:
        """A table of the layers: shapes, parameters, and floating point operations of one input."""
        inputs = jax.tree.leaves(self._batch().inputs)[0][:1]
        return nnx.tabulate(self.network, inputs, depth=3, compute_flops=True, console_kwargs={"width": 120})

    def _batch(self) -> Batch:
        """The first batch of the test part."""
        if self.looks is not None:
            return Batch(jnp.zeros((1, *self.looks.shape)), jnp.zeros(1, int))
        batches, constants = self.task.evaluation("test")
        return self.task.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], batches), constants)

    def predict(self, inputs: object) -> np.ndarray:
        """Of images and of rows with classes their probabilities [B, classes]; of rows with numbers these numbers [B].

        inputs: images as the data set gives them, uint8 [B, H, W, C], or floats in [0, 1], of one channel also
        [B, H, W]; rows of a table as {column: values [B]}. Any number of them.
        Errors: `UserError` for inputs of another size, type or number of channels, or without a column.
        """
        if self.looks is None:
            return self._predict_rows(inputs)
        x = self._checked(inputs)
        if not len(x):
            return np.zeros((0, len(self.images.classes)), np.float32)
        rows, counted = padded_rows(len(x), min(EVALUATION_BATCH, len(x)))
        with jax.enable_x64(self.config.dtype == "float64"):
            found = [np.asarray(self._probabilities(x[row])) for row in rows]
        return np.concatenate(found)[counted.ravel()]

    def _predict_rows(self, rows: object) -> np.ndarray:
        if not isinstance(self.task, TableClasses | TableNumbers):
            raise UserError(f"The network of {self.folder} reads {self.task.takes}: use found.network.")
        x = self.task.inputs(rows)
        with jax.enable_x64(self.config.dtype == "float64"):
            outputs, _ = jax.jit(partial(self.functional.apply, train=False))(self.weights, self.stats, x)
        return self.task.answers(np.asarray(outputs.logits))

    def evaluate(self, data: Any = None) -> Evaluation:
        """On the test part of the run's data set. Of images also of another of the same classes, by name or as a
        `Dataset`; or on all of the images and labels (x, y).

        Errors: `UserError` for data of other images or classes, and for the run's own data set if it has changed.
        """
        if self.looks is None:
            if data is not None:
                raise UserError(f"The network of {self.folder} is tested on the data of its run only: leave out data.")
            return Evaluation(self.task.measures(self._sums(self.task)))
        if isinstance(data, tuple | list) and len(data) == 2:
            x, y = self._checked(data[0]), as_labels(data[1], "The labels")
            if len(x) != len(y) or not len(x) or y.max() >= len(self.images.classes):
                raise UserError(
                    f"Here are {len(x)} images and {len(y)} labels up to {y.max(initial=0)}: give as many of both, of "
                    f"the {len(self.images.classes)} classes of {self.folder}."
                )
        else:
            dataset = self._dataset(data)
            x, y = self._checked(dataset.test_x), dataset.test_y
        sums = self._sums(images_as_test(self.images, x, y, self.config))
        confusion = np.zeros((len(self.images.classes),) * 2, int)
        np.add.at(confusion, (y, self.predict(x).argmax(-1)), 1)
        return Evaluation(means(sums), confusion)

    def _sums(self, task: Task) -> Sums:
        """Of the measures on the test part."""
        with jax.enable_x64(self.config.dtype == "float64"):
            measured = jax.jit(partial(evaluate_one, self.functional, task.pure))
            return jax.device_get(measured((self.weights, self.stats), task.evaluation("test")))

    def _dataset(self, data: Any) -> datasets.Dataset:
        dataset = datasets.load(self.config.data if data is None else data)
        theirs, ours = dataset.classes, self.images.classes
        numbered = theirs == tuple(map(str, range(len(theirs))))
        if len(theirs) != len(ours) or (theirs != ours and not numbered):
            first = next((pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]), None)
            which = f"{len(theirs)} instead of {len(ours)}"
            if first is not None:
                which = f"'{first[0]}' instead of '{first[1]}'"
            raise UserError(
                f"'{dataset.name}' has other classes than the network of {self.folder} tells apart, {which}: give it "
                "data of the same classes, in the same order."
            )
        if data is None:
            now = datasets.described(training_splits(dataset, self.config.retrain))
            changed = [name for name in ("train", "test", "crc32") if now[name] != self.facts.get(name)]
            if changed:
                raise UserError(
                    f"'{dataset.name}' is not what {self.folder} was trained on any more ({', '.join(changed)}): name "
                    "the data to test on, as in --data."
                )
        return dataset

    def save_weights(self, path: str | Path) -> None:
        """Write weights and statistics as an .npz, by names like `weights/backbone/classifier/kernel`."""
        if not isinstance(path, str | Path) or Path(path).suffix != ".npz" or "\0" in str(path):
            raise UserError(f"Weights are saved as .npz, not as '{path}': choose a name that ends in .npz.")
        leaves = flatten_dict({"weights": self.weights, "stats": self.stats})
        named = {"/".join(map(str, name)): np.asarray(leaf) for name, leaf in leaves.items()}
        with storage(Path(path).parent), replaced(Path(path)) as part, open(part, "wb") as file:
            np.savez(file, allow_pickle=False, **named)  # type: ignore[arg-type]

    @cached_property
    def _probabilities(self) -> Any:
        dtype = jnp.dtype(self.config.dtype)

        def probabilities(weights, stats, mean, std, x):
            outputs, _ = self.functional.apply(weights, stats, normalise(x, mean, std, dtype), train=False)
            return jax.nn.softmax(outputs.logits.astype(jnp.float32))

        return partial(jax.jit(probabilities), self.weights, self.stats, self.images.mean, self.images.std)

    def _checked(self, images: object) -> np.ndarray:
        if isinstance(images, np.ndarray | jax.Array) and images.shape == self.images.shape:
            shape = list(images.shape)
            raise UserError(f"Expected images [B, H, W, C], got one of {shape}: add a first axis, x[None].")
        x = as_images(images, "The images to predict")
        if x.shape[1:] != self.images.shape:
            raise UserError(
                f"The network of {self.folder} was trained on images {list(self.images.shape)} [H, W, C], got "
                f"{list(x.shape[1:])}: give it images of that size and number of channels."
            )
        return x


def load(folder: str | Path, seed: int | None = None) -> Found:
    """The network that a training left in a run folder, with the weights of its newest checkpoint.

    seed: which of the run's trainings, where there are several; by default the first.
    Errors: `UserError` if the folder holds no training, or one that has not saved anything yet, or was made by a
    version that kept less.
    """
    if not isinstance(folder, str | Path) or not os.path.isdir(folder) or not records.holds_run(folder):
        raise UserError(f"{folder} holds no run: name the folder of a training, as in dnas.load('runs/first/retrain').")
    folder = Path(folder)
    checkpoints.refuse_foreign(folder)
    config = records.config_of(folder)
    index = 0 if seed is None else seed - config.seed if type(seed) is int else -1
    if not 0 <= index < config.seeds:
        raise UserError(f"{folder} has the seeds {config.seed} to {config.seed + config.seeds - 1}, not {seed}.")
    if not checkpoints.steps(folder):
        raise UserError(f"{folder} cannot be loaded: there is no checkpoint in it (yet, or any more).")
    facts = records.read_facts(folder, "data.json")
    if is_search(folder):
        raise UserError(f"{folder} is the folder of a search: train its cell, with dnas retrain, and load that.")
    genotype = from_json(records.read_genotypes(folder)[0])
    space = find.resolve("space", config.space)
    check(genotype, space, config.retrain.cells)
    looks = _looks(facts, folder) if space.takes == "images" else None
    task = _bound(config, space, facts, folder) if looks is None else _of_images(looks, config)
    size = network_size_of(config.retrain, space, task.shape)
    build = network_of(genotype, space, size)
    with jax.enable_x64(config.dtype == "float64"):
        functional = functionalize(build)
        shapes = jax.eval_shape(functional.init, jax.random.key(0))
        weights, stats = weights_of.read(folder, shapes, index, "the network that its config and genotype say")
    layout = nnx.graphdef(build(Deferred(params=jax.random.key(0))))
    return Found(folder, config, genotype, config.seed + index, task, looks, functional, weights, stats, layout, facts)


def images_as_test(looks: Looks, x: np.ndarray, y: np.ndarray, config: Config) -> Images:
    """The task of a training of images, with these as its test part."""
    none = x[:0], y[:0]
    splits = datasets.Splits(*none, *none, x, y, looks.mean, looks.std, looks.classes, note="", name="")
    return Images(splits=splits, recipe=config.retrain.augment, dtype=config.dtype)


def _of_images(looks: Looks, config: Config) -> Images:
    return images_as_test(looks, np.zeros((0, *looks.shape), np.uint8), np.zeros(0, np.int32), config)


def _bound(config: Config, space: Space, facts: Mapping[str, Any], folder: Path) -> Task:
    """The task of the run on its data set, which must be what it was."""
    task, _ = binding.bind(datasets.load(config.data), config, "retrain", space)
    now = task.described()
    if changed := [
        name for name in ("train", "valid", "test", "crc32", "features") if now.get(name) != facts.get(name)
    ]:
        raise UserError(
            f"'{config.data}' is not what {folder} was trained on any more ({', '.join(changed)}): put back the data."
        )
    return task


def is_search(folder: str | Path) -> bool:
    """Whether a run folder is that of a search, by its newest checkpoint."""
    found = weights_of.newest(Path(folder))
    return found is not None and any(name.startswith(".state.alphas") for name, *_ in found[1]["leaves"])


def _looks(facts: dict[str, Any], folder: Path) -> Looks:
    match facts:
        case {"image": [int(), int(), int(channels)], "mean": [*mean], "std": [*std], "classes": [*classes]}:
            numbers = [*mean, *std]
            if len(mean) == len(std) == channels and all(isinstance(n, int | float) for n in numbers):
                moments = np.array(mean, np.float32), np.array(std, np.float32)
                return Looks(tuple(facts["image"]), *moments, tuple(map(str, classes)))
    raise UserError(
        f"{folder / 'data.json'} does not say what the images were like: the run was made by an earlier version, or "
        "the file is damaged."
    )
