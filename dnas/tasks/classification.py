"""What all tasks with one label an example share: cross-entropy, accuracy, top-5 accuracy.

Axis letters: B batch, R ensemble members (supernets side by side, each with a mix of its own).
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.tasks.rows import padded_rows
from dnas.tasks.task import EVALUATION_BATCH, Score, Sums, means, weighted, weighted_mean
from dnas.types import Batch, Tree


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification:
    """Loss and measures of `task.Task`.

    smoothing: share of a label spread over all classes. auxiliary: weight of the loss of an auxiliary head.
    """

    smoothing: float = 0.0
    auxiliary: float = 0.0
    score: ClassVar[Score] = Score("accuracy")
    trained: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    measured: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "top5_accuracy")

    def loss(self, outputs: Any, batch: Batch) -> tuple[jax.Array, Sums]:
        """Of logits [B, classes], of `layers.Outputs`, or of ensemble members [R, B, classes]: then the loss is the sum
        of theirs, and the accuracy is that of the first. Targets are labels [B], or shares of the classes [B, classes]
        where examples are mixed: then what is right is the share of the answer."""
        logits, extra = (outputs, None) if isinstance(outputs, jax.Array) else outputs
        total = self._mean(logits, batch)
        sums = {"loss": (total, 1), "accuracy": hits(logits, batch)}
        if extra is not None:
            total += self.auxiliary * self._mean(extra, batch)
        return total, sums

    def _mean(self, logits: jax.Array, batch: Batch) -> jax.Array:
        mixed = batch.targets.ndim == 2
        if not (mixed or self.smoothing):
            return cross_entropy(logits, batch.targets, batch.weights)
        targets = batch.targets if mixed else jax.nn.one_hot(batch.targets, logits.shape[-1], dtype=logits.dtype)
        if self.smoothing:
            targets = optax.smooth_labels(targets, self.smoothing)
        return weighted_mean(optax.softmax_cross_entropy(logits, targets.astype(logits.dtype)), batch).sum()

    def distilled(self, outputs: Any, others: Any, batch: Batch) -> jax.Array:
        """Cross-entropy with the softmax of the other network's logits [B, classes] (Hinton, Vinyals and Dean 2015,
        arXiv:1503.02531, at temperature 1)."""
        logits, targets = (given if isinstance(given, jax.Array) else given.logits for given in (outputs, others))
        return weighted_mean(optax.softmax_cross_entropy(logits, jax.nn.softmax(targets)), batch)

    def evaluate(self, outputs: Any, batch: Batch) -> Sums:
        """ "loss", "accuracy" and "top5_accuracy" of what counts in a batch."""
        logits = outputs if isinstance(outputs, jax.Array) else outputs.logits
        logits = logits.astype(jnp.result_type(float))  # bfloat16 has no good logarithms, and no good sums
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
        own = jnp.take_along_axis(logits, batch.targets[:, None], -1)
        right, near = logits.argmax(-1) == batch.targets, (logits > own).sum(-1) < 5
        counted = jnp.ones(right.shape, bool) if batch.weights is None else batch.weights
        rows = {"loss": losses, "accuracy": right, "top5_accuracy": near}
        return {name: ((row * counted).sum(), counted.sum()) for name, row in rows.items()}

    def measures(self, sums: Sums) -> dict[str, float]:
        """The mean of every measure that has examples."""
        return means(sums)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassesOfParts(Classification):
    """What a task with data is whose `parts` are arrays by name: inputs [N, ...], one array or several, and their
    classes [N]."""

    parts: Mapping[str, tuple[Tree, np.ndarray]]

    @property
    def constants(self) -> Tree:
        """What `evaluation_batch` takes beside the rows."""
        return ()

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each part."""
        return {name: len(classes) for name, (_, classes) in self.parts.items()}

    @property
    def checksum(self) -> int:
        """Of the train part."""
        x, y = self.parts["train"]
        return zlib.crc32(y.tobytes(), zlib.crc32(jax.tree.leaves(x)[0].tobytes()))

    def steps(self, part: str, batch_size: int) -> int:
        return -(-self.counts.get(part, 0) // batch_size)

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        x, y = self.parts[part]
        rows, counted = padded_rows(len(y), min(EVALUATION_BATCH, len(y)))
        return (jax.tree.map(lambda values: values[rows], x), y[rows], counted), self.constants

    def as_row(self, x: Tree) -> tuple[Tree, Tree]:
        """What `evaluation_batch` takes, of inputs alone."""
        return (x, None, None), self.constants

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities [B, classes]."""
        return np.asarray(jax.nn.softmax(logits.astype(np.float32)))

    def labelled(self, part: str) -> list[tuple[Tree, np.ndarray]]:
        """The examples of a part and their classes."""
        return [self.parts[part]]


def told(measures: dict[str, float], classes: int) -> dict[str, float]:
    """What says something of so many classes: of five or fewer every answer is among the first five."""
    return {name: value for name, value in measures.items() if classes > 5 or name != "top5_accuracy"}


def cross_entropy(logits: jax.Array, labels: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """Mean cross-entropy of logits [B, classes] and labels [B]; of members [R, B, classes] their sum. weights: of the
    examples [B], as in a batch."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.broadcast_to(labels, logits.shape[:-1]))
    return weighted_mean(losses, Batch((), labels, weights)).sum()


def hits(logits: jax.Array, batch: Batch) -> tuple[jax.Array, Any]:
    """How much of the batch is classified right, and how much counts; of ensemble members, by the first."""
    answers = logits.reshape(-1, *logits.shape[-2:])[0].argmax(-1)
    if batch.targets.ndim == 2:
        return weighted(jnp.take_along_axis(batch.targets, answers[:, None], -1)[:, 0], batch)
    right = answers == batch.targets
    return weighted(right if batch.weights is None else right.astype(logits.dtype), batch)
