"""What every run that is loaded can do: predict, be summed up, give its network and its weights away."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict

from dnas.config import Config
from dnas.errors import UserError
from dnas.files import storage
from dnas.loading import mistakes, summary, texts, translations
from dnas.loading.looks import Looks
from dnas.loading.mistakes import Miss, Mistake, Unlike
from dnas.nets.functional import Functional, forward
from dnas.paths import replaced
from dnas.tasks.audio_classification import SoundClasses
from dnas.tasks.rows import padded_rows
from dnas.tasks.task import EVALUATION_BATCH, Answering, Reading, Writing
from dnas.training.buckets import cuts, shortened
from dnas.types import Batch, Tree


class Evaluation(NamedTuple):
    """On a part of the data: the measures of the task, "loss" among them; and where there are classes how many of each
    (rows) were taken for which (columns) [classes, classes]; the worst mistakes: those that were least sure of the
    class, the numbers that were farthest off, or the translations that are least alike. signatures: of measures that
    others may take otherwise, by which settings they were."""

    measures: Mapping[str, float]
    confusion: np.ndarray | None = None
    mistakes: tuple[Mistake, ...] | tuple[Miss, ...] | tuple[Unlike, ...] = ()
    signatures: Mapping[str, str] = MappingProxyType({})

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


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A network with its weights, and the task that it learned.

    folder: of the run, or the file that weights were read from. seed: of what was loaded. given: the data set, where
    it was given as such. looks: of images. args: what the network takes beside its inputs.
    """

    folder: Path
    config: Config
    seed: int
    task: Any
    given: Any
    looks: Looks | None
    functional: Functional
    weights: Tree
    stats: Tree
    layout: Any
    description: Any
    args: tuple = ()

    @cached_property
    def network(self) -> Any:
        """A Flax module in evaluation, also under `jax.jit`. Of a run in float64 inside `jax.enable_x64(True)`."""
        network = nnx.merge(self.layout, nnx.State(self.weights), nnx.State(self.stats))
        return nnx.view(network, use_running_average=True, raise_if_not_found=False)

    @property
    def images(self) -> Looks:
        """What images are like. Errors: `UserError` for a network of other things."""
        if self.looks is None:
            raise UserError(f"The network of {self.folder} reads {self.reads}, no images.")
        return self.looks

    @property
    def reads(self) -> str:
        """What is predicted of: images, sounds, or what else the networks of its space read."""
        return "sounds" if isinstance(self.task, SoundClasses) else self.task.takes

    @property
    def classes(self) -> tuple[str, ...]:
        """What the classes are called; none where numbers or words are predicted."""
        return self.task.class_names if isinstance(self.task, Answering) else ()

    def summary(self) -> str:
        """A table of the parts: their shapes and parameters; of networks of rows of the layers, and of the floating
        point operations of one input."""
        if self.task.takes != "features":  # Flax cannot follow the calls of others, and leaves its classes changed
            return summary.parts(self.weights, {})
        with jax.enable_x64(self.config.dtype == "float64"):
            return summary.layers(self.network, jnp.zeros((1, *self.task.shape.inputs), float))

    def predict(self, inputs: object) -> np.ndarray:
        """Of images, sounds, rows and texts with classes their probabilities [B, classes]; of rows with numbers these
        numbers [B]; of texts to be translated their translations, strings [B]; of other texts the probabilities of the
        word that follows each [B, V].

        inputs: images as the data set gives them, uint8 [B, H, W, C], or floats in [0, 1], of one channel also
        [B, H, W]; sounds as a list of waveforms [S] at the sample rate of the data set, int16 or floats from -1 to 1;
        rows of a table as {column: values [B]}; texts as a list of strings, or of lists of words. Any number of them,
        sounds and texts of any lengths.
        Errors: `UserError` for inputs of another size, type or number of channels, without a column, or without words.
        """
        with jax.enable_x64(self.config.dtype == "float64"):
            if isinstance(self.task, Reading):
                return self.answers(self.task.tokens(inputs))
            if isinstance(self.task, Writing):
                return np.array([one.text for one in self.translate(inputs)], object)
            if not isinstance(self.task, Answering):
                raise UserError(f"The task '{self.task.name}' takes no inputs but its data: use found.network.")
            return self.answers(self.task.inputs(inputs))

    def translate(self, inputs: object) -> list[translations.Translation]:
        """Of every text its translation and the score of that, its log-likelihood over the length penalty. inputs: a
        list of strings. Errors: `UserError` for anything else, and for a network of other things."""
        if not isinstance(self.task, Writing):
            raise UserError(f"The network of {self.folder} reads {self.task.takes}, and translates nothing.")
        return self.translated(self.task.inputs(inputs))

    def likelihoods(self, inputs: object, targets: object) -> list[translations.Likelihood]:
        """Of every text how likely this translation of it is, by the network. inputs, targets: lists of strings.

        Errors: `UserError` for anything else, for lists of other lengths, and for a network of other things.
        """
        if not isinstance(self.task, Writing):
            raise UserError(f"The network of {self.folder} reads {self.task.takes}, and translates nothing.")
        pairs = self.task.paired(inputs, targets)
        with jax.enable_x64(self.config.dtype == "float64"):
            return translations.judged(self._outputs, *pairs)

    def perplexity(self, inputs: object) -> np.ndarray:
        """Of every text [B] the perplexity of its words but the first, given those before. inputs: as of `predict`.

        Errors: `UserError` for a network of other things, and for a text of fewer than two words.
        """
        if not isinstance(self.task, Reading):
            raise UserError(f"The network of {self.folder} reads {self.reads}, and perplexities are of texts.")
        tokens = self.task.tokens(inputs)
        if short := [number for number, one in enumerate(tokens, 1) if len(one) < 2]:
            raise UserError(f"Text {short[0]} has one word: a perplexity needs at least 2, as the first is only read.")
        with jax.enable_x64(self.config.dtype == "float64"):
            likelihoods = texts.read(self._texts, tokens)[1]
        with np.errstate(over="ignore"):
            return np.exp(-likelihoods / np.array([len(one) - 1 for one in tokens]))

    def continued(self, inputs: object, *, count: int, seed: int = 0) -> list[str]:
        """What the network writes behind every text: so many words, or characters where it reads these, each drawn by
        its probability, the same for the same seed; `<unk>` never is. inputs: as of `predict`.

        Errors: `UserError` for a network of other things.
        """
        if not isinstance(self.task, Reading):
            raise UserError(f"The network of {self.folder} reads {self.reads}, and continues no text.")
        tokens, random = self.task.tokens(inputs), np.random.default_rng(seed)
        choose = self.task.chooser(random)
        with jax.enable_x64(self.config.dtype == "float64"):
            found = [texts.continued(self._stepper, one, count, choose) for one in tokens]
        return [self.task.written(one) for one in found]

    def save_weights(self, path: str | Path) -> None:
        """Write weights and statistics as an .npz, by names like `weights/backbone/classifier/kernel`."""
        if not isinstance(path, str | Path) or Path(path).suffix != ".npz" or "\0" in str(path):
            raise UserError(f"Weights are saved as .npz, not as '{path}': choose a name that ends in .npz.")
        named = {"/".join(map(str, name)): np.asarray(leaf) for name, leaf in flatten_dict(self._saved()).items()}
        with storage(Path(path).parent), replaced(Path(path)) as part, open(part, "wb") as file:
            np.savez(file, allow_pickle=False, **named)  # type: ignore[arg-type]

    def _saved(self) -> dict[str, Tree]:
        return {"weights": self.weights, "stats": self.stats}

    def answers(self, x: Tree) -> np.ndarray:
        """As `predict`, of inputs [B, ...] as the task makes them of what somebody gives; of texts, a list of
        their tokens."""
        if isinstance(self.task, Reading):
            return np.exp(texts.read(self._texts, x)[0])
        return self.task.answers(self._logits(x))

    def _logits(self, x: Tree) -> np.ndarray:
        """Of any number of inputs [N, ...], as the task made them, what the network says [N, outputs]."""
        if not (count := len(jax.tree.leaves(x)[0])):
            return np.zeros((0, self.task.shape.outputs), np.float32)
        order = np.argsort(self.task.lengths((x,)), kind="stable") if cuts(self.task) else np.arange(count)
        rows, counted = padded_rows(count, min(EVALUATION_BATCH, count))
        with jax.enable_x64(self.config.dtype == "float64"):
            parts = (shortened(self.task, jax.tree.map(operator.itemgetter(row), x)) for row in order[rows])
            found = [np.asarray(self._outputs(*self.task.as_row(part))) for part in parts]
        return np.concatenate(found)[counted.ravel()][np.argsort(order)]

    @property
    def pure_logits(self) -> Any:
        """A pure function of weights, statistics, what the network takes beside its inputs, and what `as_row` of the
        task makes of these: the logits [B, outputs]."""
        functional, pure = self.functional, self.task.pure

        def logits_of(weights, stats, args, row, constants):
            batch: Batch = pure.evaluation_batch(row, constants)
            outputs, _, _ = forward(functional, weights, stats, batch.inputs, *args, train=False)
            return outputs if isinstance(outputs, jax.Array) else outputs.logits

        return logits_of

    @cached_property
    def _outputs(self) -> Any:
        return partial(jax.jit(self.pure_logits), self.weights, self.stats, self.args)

    @cached_property
    def _texts(self) -> texts.Reader:
        return texts.reader(self.functional, (self.weights, self.stats, self.args), self.task.bptt)

    @cached_property
    def _stepper(self) -> texts.Stepper:
        state = self.weights, self.stats, self.args
        return texts.stepper(self.functional, state, self.network, self.args, self.task.bptt)

    @cached_property
    def _writer(self) -> Any:
        return translations.writer(self.network, self.args, self.task)

    def translated(self, source: np.ndarray) -> list[translations.Translation]:
        """As `translate`, of sources [N, S] as the task makes them."""
        with jax.enable_x64(self.config.dtype == "float64"):
            return translations.written(self._writer, source, self.task)

    def _answered(self, measures: Mapping[str, float], task: Any, part: str) -> Evaluation:
        """These measures, and where there are classes what was taken for what, or numbers which are farthest off, of a
        part of the data of a task like the own one."""
        if not isinstance(task, Answering):
            return Evaluation(measures)
        found = task.labelled(part)
        if not self.classes:
            ((x, numbers),) = found
            said = task.answers(self._logits(x))
            return Evaluation(measures, mistakes=mistakes.farthest(task, part, x, numbers, said))
        confusion, worst, before = np.zeros((len(self.classes),) * 2, int), list[Mistake](), 0
        for x, classes in found:
            logits = self._logits(x)
            np.add.at(confusion, (classes, logits.argmax(-1)), 1)
            worst += mistakes.worst(task, part, before, x, classes, task.answers(logits))
            before += len(classes)
        return Evaluation(measures, confusion, mistakes.of_all(worst))


def refuse_part(part: object, parts: tuple[str, ...], folder: Path) -> None:
    """Errors: `UserError` for a part of the data that the run has not."""
    if part not in parts:
        raise UserError(f"The data of {folder} have the parts {', '.join(parts)}, not {part!r}: choose one of these.")


def changed(now: Mapping[str, Any], description: Mapping[str, Any]) -> list[str]:
    """What of the data is not what a run noted of it."""
    names = ("train", "valid", "test", "crc32", "features")
    return [name for name in names if now.get(name) != description.get(name)]


def refuse_changed(now: Mapping[str, Any], description: Mapping[str, Any], config: Config, folder: Path) -> None:
    """Errors: `UserError` for data that are not what the run had."""
    if names := changed(now, description):
        raise UserError(
            f"'{config.data}' is not what {folder} was trained on any more ({', '.join(names)}): put back the data."
        )
