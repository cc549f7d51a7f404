"""A training that has ended, loaded and used: `found = dnas.load("runs/first/retrain")`.

    found.predict(images)      probabilities, of images as the data set gives them
    found.evaluate()           the accuracy of the report, to the last image; or on other data
    found.network              a Flax module in evaluation, of normalised images
    found.save_weights(path)   an .npz of plain arrays by name

All that it needs lies in the run folder: the genotype, the newest checkpoint, and in data.json how images were
normalised.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict

from dnas import checkpoints, find, loop, records
from dnas import data as datasets
from dnas.checkpoints import Damaged
from dnas.config import Config
from dnas.data._arrays import as_images
from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.files import read_json, storage
from dnas.nets.functional import Deferred, Functional, functionalize
from dnas.nets.network import Network
from dnas.paths import replaced
from dnas.retrain import EVALUATION_BATCH, body_of, evaluate_one
from dnas.spaces.genotype import Genotype, from_json
from dnas.types import Tree


class Images(NamedTuple):
    """What a network was trained on: shape [H, W, C] and normalisation of its images, names of its classes."""

    shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]


class Evaluation(NamedTuple):
    """On a test part: accuracy, top-5 accuracy, mean loss; and how many images of each class (rows) were taken for
    which (columns) [classes, classes]."""

    accuracy: float
    top5_accuracy: float
    loss: float
    confusion: np.ndarray


@dataclass(frozen=True)
class Found:
    """A trained network and what it takes to use it; `load` makes it."""

    folder: Path
    config: Config
    genotype: Genotype
    seed: int
    images: Images
    functional: Functional
    weights: Tree
    stats: Tree
    layout: Any

    @cached_property
    def network(self) -> Network:
        """A Flax module in evaluation: normalised images [B, H, W, C] -> Outputs; also under `jax.jit`."""
        network = nnx.merge(self.layout, nnx.State(self.weights), nnx.State(self.stats))
        return nnx.view(network, use_running_average=True)

    def predict(self, images: object) -> np.ndarray:
        """Probabilities [B, classes] of images as the data set gives them: uint8 [B, H, W, C], or floats in [0, 1]; of
        one channel also [B, H, W]. Any number of images.

        Errors: `UserError` for images of another size, type or number of channels.
        """
        x = self._checked(images)
        if not len(x):
            return np.zeros((0, len(self.images.classes)), np.float32)
        batches, _, mask = loop.padded_batches(x, np.zeros(len(x), np.int32), min(EVALUATION_BATCH, len(x)))
        rows = [np.asarray(self._probabilities(batch)) for batch in batches]
        return np.concatenate(rows)[mask.ravel()]

    def evaluate(self, data: Any = None) -> Evaluation:
        """On the test part of the run's data set; or of another of the same classes, by name, `Dataset` or arrays.

        Errors: `UserError` for data of other images or classes.
        """
        dataset = datasets.load(self.config.data if data is None else data)
        if len(dataset.classes) != len(self.images.classes):
            raise UserError(
                f"'{dataset.name}' has {len(dataset.classes)} classes, and the network of {self.folder} tells "
                f"{len(self.images.classes)} apart: give it data of the same classes."
            )
        x, y = self._checked(dataset.test_x), dataset.test_y
        batches = loop.padded_batches(x, y, min(EVALUATION_BATCH, len(x)))
        measured = self._measured((self.weights, self.stats), (batches, (self.images.mean, self.images.std)))
        confusion = np.zeros((len(self.images.classes),) * 2, int)
        np.add.at(confusion, (y, self.predict(x).argmax(-1)), 1)
        accuracy, top5, loss = map(float, measured)
        return Evaluation(accuracy, top5, loss, confusion)

    def save_weights(self, path: str | Path) -> None:
        """Write weights and statistics as an .npz, by names like `weights/backbone/classifier/kernel`."""
        if Path(path).suffix != ".npz":
            raise UserError(f"Weights are saved as .npz, not as '{path}': choose a name that ends in .npz.")
        leaves = flatten_dict({"weights": self.weights, "stats": self.stats})
        named = {"/".join(map(str, name)): np.asarray(leaf) for name, leaf in leaves.items()}
        with storage(Path(path).parent), replaced(Path(path)) as part, open(part, "wb") as file:
            np.savez(file, allow_pickle=False, **named)  # type: ignore[arg-type]

    @cached_property
    def _measured(self) -> Any:
        return jax.jit(partial(evaluate_one, self.functional, jnp.dtype(self.config.dtype)))

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
    folder = Path(folder)
    if not records.holds_run(folder):
        raise UserError(f"{folder} holds no run: name the folder of a training, as in dnas.load('runs/first/retrain').")
    config = records.config_of(folder)
    index = 0 if seed is None else seed - config.seed
    if not 0 <= index < config.seeds:
        raise UserError(f"{folder} has the seeds {config.seed} to {config.seed + config.seeds - 1}, not {seed}.")
    facts, steps = read_json(folder / "data.json") or {}, checkpoints.steps(folder)
    lacking = {"image", "mean", "std", "classes"} - set(facts)
    if not steps or lacking:
        what = "has not saved a checkpoint yet" if not steps else "was made by a version that kept less of its data"
        raise UserError(f"{folder} cannot be loaded: its run {what}.")
    mean, std = (np.array(facts[name], np.float32) for name in ("mean", "std"))
    images = Images(tuple(facts["image"]), mean, std, tuple(facts["classes"]))
    genotype = from_json(records.read_genotypes(folder)[0])
    space = find.resolve("space", config.space)
    body = body_of(config.retrain, space, len(images.classes), images.shape[-1])

    def build(rngs: nnx.Rngs) -> Network:
        return Network(genotype, space, body, rngs=rngs)

    with jax.enable_x64(config.dtype == "float64"):
        functional = functionalize(build)
        weights, stats = _restored(folder, steps[-1], jax.eval_shape(functional.init, jax.random.key(0)), index)
    layout = nnx.graphdef(build(Deferred(params=jax.random.key(0))))
    return Found(folder, config, genotype, config.seed + index, images, functional, weights, stats, layout)


def _restored(folder: Path, step: int, shapes: tuple[Tree, Tree], index: int) -> tuple[Tree, Tree]:
    """Weights and statistics of one seed in a checkpoint."""
    try:
        about = checkpoints.read_about(folder, step)
        data = checkpoints.read_data(folder, step, about)
    except Damaged as error:
        found = f"The checkpoint of step {step} in {folder} is damaged ({error})"
        raise UserError(f"{found}: resume the run first, which goes on from an earlier one.") from error
    arrays = checkpoints.arrays(about["leaves"], data)

    def taken(part: str, tree: Tree) -> Tree:
        def one(path, like):
            found = arrays.get(f".state.{part}{jax.tree_util.keystr(path)}")
            if found is None or found.shape[1:] != like.shape:
                raise UserError(f"{folder} holds no training of this network: is it the folder of a search?")
            return jnp.asarray(found[index])

        return jax.tree_util.tree_map_with_path(one, tree)

    return taken("weights", shapes[0]), taken("stats", shapes[1])
