"""The contract between a task and what trains on it; and what all tasks share.

Axis letters: N examples, B batch, T time. A *part* of the data is "train", "valid" or "test".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from dnas.types import Batch, Tree

Sums = Mapping[str, tuple[Any, Any]]  # measure -> (sum, count); the mean is their ratio
EVALUATION_BATCH = 256
VALIDATES = {"search": "for the alphas", "retrain": "for validation"}  # what the validation part of a stage is for


class Score(NamedTuple):
    """The measure by which architectures and trainings are chosen, and whether more of it is better."""

    name: str
    more: bool = True

    def signed(self, value: Any) -> float:
        """Such that more is better; twice it is the value again."""
        return float(value) if self.more else -float(value)

    def best(self, values: Any) -> float:
        """The best of several."""
        return max(values) if self.more else min(values)

    def shown(self, value: float) -> str:
        """As one reads it: shares in percent."""
        return f"{100 * value:.2f} %" if self.name == "accuracy" else f"{value:.5g}"


class Shape(NamedTuple):
    """What a network is built for: outputs are classes, tokens or targets; inputs what one example looks like.

    inputs: shape of one input without its batch axis, e.g. (H, W, C) of an image, (F,) of a row of a table, (T,) of a
    text. vocabulary: how many tokens there are, for inputs that are tokens; 0: they are numbers.
    """

    outputs: int
    inputs: tuple[int, ...]
    vocabulary: int = 0


class Level(NamedTuple):
    """What an update reads of a part: so many batches of a size."""

    part: str
    size: int
    batches: int = 1


class Task(Protocol):
    """A task bound to the data of one run; `tasks.<name>.task(*, settings)` gives what binds it, see `Binding`.

    takes: what its networks read, "images", "tokens", "frames" (`types.Frames`), "pairs" of tokens (source, target) or
    "features": a space that reads something else is refused.
    """

    @property
    def name(self) -> str: ...

    @property
    def takes(self) -> str: ...

    @property
    def score(self) -> Score: ...

    @property
    def trained(self) -> tuple[str, ...]:
        """The sums of a training step. "loss", of the objective with all regularisers, is put there by the step."""
        ...

    @property
    def measured(self) -> tuple[str, ...]:
        """The sums of an evaluation, "loss" among them."""
        ...

    @property
    def pure(self) -> "Task":
        """The same without its data: what traced functions hold, so that programs know nothing of the data but what
        they are given. Only what is marked as pure below works on it."""
        ...

    @property
    def shape(self) -> Shape:
        """What a network is built for."""
        ...

    @property
    def note(self) -> str:
        """What a reader of a result must know of the data."""
        ...

    @property
    def sizes(self) -> str:
        """For a headline: the data set, and how much of it trains what."""
        ...

    def described(self) -> dict[str, Any]:
        """What identifies the data, and what an input must look like to whoever uses the network; ready for JSON."""
        ...

    def arrays(self, part: str) -> Tree:
        """What a step reads of a part, NumPy arrays that go to the device once."""
        ...

    def steps(self, part: str, batch_size: int) -> int:
        """Batches of one pass over a part; 0 where there is none."""
        ...

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        """Pure: which examples the batches of an epoch take, `needed` of them, in their order."""
        ...

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        """Pure: the training batch of step `number` of an epoch, augmented."""
        ...

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        """NumPy: (batches, constants); every leaf of the batches has the batches as first axis."""
        ...

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        """Pure: one of these batches; what only fills it up has weight 0."""
        ...

    def loss(self, outputs: Any, batch: Batch) -> tuple[jax.Array, Sums]:
        """Pure: what training minimises, a mean over what counts, and the sums of the measures named by `trained`."""
        ...

    def evaluate(self, outputs: Any, batch: Batch) -> Sums:
        """Pure: the sums of all measures of a batch in evaluation, "loss" and the score among them."""
        ...

    def measures(self, sums: Sums) -> dict[str, float]:
        """The measures of an epoch or a part from the sums over its batches; a measure without examples is left out."""
        ...


@runtime_checkable
class Answering(Protocol):
    """What a `Task` has besides if its networks can be asked for what is not in the data."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called; none where numbers are predicted."""
        ...

    def inputs(self, given: object) -> Tree:
        """What somebody gives, [B, ...] as the network's batches are made of. Errors: `UserError` for anything else."""
        ...

    def as_row(self, x: Tree) -> tuple[Tree, Tree]:
        """What `evaluation_batch` takes, of inputs alone."""
        ...

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities [B, classes], or numbers [B] in the unit of the target."""
        ...

    def labelled(self, part: str) -> Iterable[tuple[Tree, np.ndarray]]:
        """The examples of a part that have a class or a number, and these, in one or more pieces, numbers in the unit
        of the target in one."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """What a `Task` has besides if its examples are too many for the devices, and are read while a network trains.

    Then `arrays` of a part are what is the same for all its batches, and `batch` takes (rows, arrays), where rows are
    the batches of one update on a first axis [K, B, ...]. Hosts share batches: what is read here are the rows of this
    one. `evaluation` is as ever, all of a part at once, for parts that are small enough.
    """

    def rows(self, level: Level) -> Tree:
        """Shapes of the rows of an update, of all hosts."""
        ...

    def updates(self, level: Level, first: int, last: int, seed: int) -> Iterator[Tree]:
        """NumPy: the rows of the updates `first` to `last` - 1 of a run, whose order follows from the seed. Errors:
        `UserError` for what cannot be read."""
        ...

    def pieces(self, part: str, size: int) -> Iterator[Tree]:
        """NumPy: of a part the batches as of `evaluation`, one at a time, [1, B, ...]. Errors: as of `updates`."""
        ...


@runtime_checkable
class Bucketed(Protocol):
    """What a `Task` has besides if its examples are of different lengths, filled up to the longest, and batches of
    short ones can be cut.

    buckets: the lengths that batches are cut to, ascending; the last is that of the arrays. Fewer than two: none is.
    """

    buckets: tuple[int, ...]

    def lengths(self, rows: Tree) -> jax.Array:
        """Pure: of the examples [...] in the arrays of a part, or in rows of its evaluation."""
        ...

    def cut_to(self, batch: Batch, length: int) -> Batch:
        """Pure: a batch [..., B] of which no example is longer."""
        ...


@runtime_checkable
class Writing(Protocol):
    """What a `Task` has besides if its networks write a text behind another, as a translation. longest: tokens of it at
    most, its end among them. ends: its begin and end. beam, penalty: of `nets/beam.py`."""

    beam: int
    penalty: float

    @property
    def longest(self) -> int: ...

    @property
    def ends(self) -> tuple[int, int]: ...

    def inputs(self, given: object) -> np.ndarray:
        """Tokens [B, S] of texts. Errors: `UserError` for anything else."""
        ...

    def paired(self, given: object, targets: object) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [B, S] of texts, and [B, T + 1] of what stands behind each. Errors: `UserError` for anything else."""
        ...

    def sources(self, part: str) -> np.ndarray:
        """The same of a part of the data."""
        ...

    def text(self, tokens: np.ndarray) -> str:
        """What written tokens say."""
        ...

    def scored(self, texts: Sequence[str], part: str) -> tuple[dict[str, float], dict[str, str]]:
        """Measures of what was written for a part of the data, and by which settings each was taken."""
        ...

    def compared(self, texts: Sequence[str], part: str) -> Sequence[Any]:
        """How alike each of them is to what should be written, as of `translation_scores.Compared`."""
        ...


@runtime_checkable
class Teaching(Protocol):
    """What a `Task` has besides if networks can learn from the outputs of others."""

    def distilled(self, outputs: Any, others: Any, batch: Batch) -> jax.Array:
        """Pure: how far outputs are from those of another network, a mean over what counts."""
        ...


@runtime_checkable
class Reading(Protocol):
    """What a `Task` has besides if its networks read texts of any length."""

    bptt: int

    def tokens(self, given: object) -> list[np.ndarray]:
        """The words of texts in numbers, int32 each. Errors: `UserError` for what is no text."""
        ...

    def chooser(self, random: np.random.Generator) -> Callable[[np.ndarray], int]:
        """log-probabilities [V] -> a word drawn by them, none that stands for others."""
        ...

    def written(self, tokens: np.ndarray) -> str:
        """The text of words in numbers."""
        ...


@runtime_checkable
class Framed(Protocol):
    """What a `Task` has besides if its examples can be read frame by frame as well."""

    def framed(self) -> "Task":
        """The same for networks of sequences. Errors: `UserError` for settings that do not go with these."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """What a `Task` has besides if its loss sees the states of recurrent networks."""

    def stateless(self) -> "Task":
        """The same for networks that have none. Errors: `UserError` for settings that act on such states."""
        ...


class Binding(Protocol):
    """Binds a task to the data of a run."""

    def __call__(self, dataset: Any, plan: Any, config: Any, stage: str) -> tuple[Task, Any]:
        """The task, and the plan (`SearchConfig` or `RetrainConfig`) as the data bear it.
        stage: "search" (parts train and valid) or "retrain" (train and test, and valid where some of it validates).
        Errors: `UserError` for data that do not fit the task, or cannot feed the plan.
        """
        ...


def pure_part(task: Any, kind: type) -> Any:
    """Of a task the part that `kind` is, one of the classes that it inherits from, which knows no data."""
    return kind(**{field.name: getattr(task, field.name) for field in fields(kind)})


def means(sums: Sums) -> dict[str, float]:
    """The mean of every measure that has examples."""
    return {name: float(total) / float(count) for name, (total, count) in sums.items() if float(count) > 0}


def reward(score: Score, sums: Sums) -> jax.Array:
    """The score of one batch such that more is better: what controllers learn from."""
    total, count = sums[score.name]
    return (1 if score.more else -1) * total / count


def weighted(values: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array | int]:
    """Sum of the values [...] of a batch, and how many count."""
    if batch.weights is None:
        return values.sum(), values.size
    weights = batch.weights.astype(values.dtype)
    return (values * weights).sum(), weights.sum()


def weighted_mean(values: jax.Array, batch: Batch) -> jax.Array:
    """Mean of the values [..., B] of a batch over what counts [...]; 0 where nothing counts."""
    if batch.weights is None:
        return values.mean(-1)
    weights = batch.weights.astype(values.dtype)
    total = weights.sum()
    return (values * weights).sum(-1) / jnp.where(total > 0, total, 1)
