"""Language modelling: the next word of a text, by networks that carry a state from batch to batch, or by decoders.

Words may be single characters, as the data set says (`ptb:tokens=characters`): then bits per character are measured
beside the perplexity, whose logarithm to base 2 they are. Batches are packed, all but the last of a text are full.

The text is cut into B columns of equal length, which are read side by side: step t reads words [t bptt, (t + 1) bptt)
of every column and predicts those that follow each; the last step of an epoch is filled up with words that do not
count. Perplexity is the exponential of the mean negative log-likelihood of a word.

    loss = NLL + ar mean(d^2) + tar mean((h_{t+1} - h_t)^2),    h the states of the cell, d the same after dropout

(Merity, McCann and Socher 2017, arXiv:1708.01009; DARTS, arXiv:1806.09055, appendix A.2), and NLL alone where there are
no states: a decoder sees what stands before a word in its sequence. Sequences have the same length, or one drawn for
every step, with a learning rate in proportion (AWD-LSTM, Merity, Keskar and Socher, ICLR 2018, arXiv:1708.02182): they
are filled up to the longest with words that do not count, and the state goes on from the last that does. An epoch then
has the steps that the mean length makes: it may leave out the end of the text, or read its beginning twice. Evaluation
reads sequences of one length.
Axis letters: B batch, T time, V vocabulary, H width, N batches.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas import keys
from dnas.config import Config
from dnas.data import Text
from dnas.data._texts import END, UNKNOWN, numbered, words_of
from dnas.errors import UserError
from dnas.ranges import Amount, Probability, Range
from dnas.tasks.task import Binding, Score, Shape, Sums, means, pure_part, weighted
from dnas.types import Batch, Tree

EVALUATION_COLUMNS = 10  # as in quark0/darts
SHORTEST, DEVIATIONS = 5, 4  # words of a drawn sequence; how many deviations it is longer than bptt at most
SEARCH_NOTE = "the alphas are trained on the official validation part, so search.valid_portion is not used"


@dataclass(frozen=True, eq=False, kw_only=True)
class LanguageSteps:
    """What traced functions hold. bptt, halved, spread: see `task`. ar, tar: weights of the two regularisers of
    states."""

    bptt: int = 35
    halved: float = 0.0
    spread: float = 0.0
    ar: float = 0.0
    tar: float = 1e-3
    score: ClassVar[Score] = Score("perplexity", more=False)
    trained: ClassVar[tuple[str, ...]] = ("loss", "nll", "perplexity")
    measured: ClassVar[tuple[str, ...]] = ("loss", "perplexity")

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        """Nothing, as a text has an order of its own; or where its sequences begin and how long they are, [2, N]."""
        if not (self.halved or self.spread):
            return jnp.zeros(0, jnp.int32)
        half = jax.random.bernoulli(keys.stream(key, "halved"), self.halved, (needed,))
        lengths = jnp.where(half, self.bptt / 2, self.bptt)
        if self.spread:
            lengths += self.spread * jax.random.normal(keys.stream(key, "spread"), (needed,))
            lengths = jnp.clip(lengths, min(SHORTEST, self.bptt), self.longest)
        lengths = lengths.astype(jnp.int32)
        return jnp.stack([jnp.cumsum(lengths) - lengths, lengths])

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        """Steps beyond the end of a part, which may be the shorter one of two, begin with it anew."""
        if self.halved or self.spread:
            return self._drawn(arrays, order[0, number], order[1, number], size)
        number = jnp.asarray(number) % steps_of(len(arrays), size, self.bptt)
        length = len(arrays) // size
        places = number * self.bptt + jnp.arange(self.bptt)
        rows = jnp.arange(size)[:, None] * length
        inputs, targets = (arrays[rows + jnp.minimum(places + after, length - 1)] for after in (0, 1))
        return Batch(inputs, targets, jnp.broadcast_to(places < length - 1, inputs.shape))

    @property
    def longest(self) -> int:
        """Words of the longest sequence."""
        return self.bptt + int(DEVIATIONS * self.spread)

    def _drawn(self, arrays: Tree, begin: jax.Array, drawn: jax.Array, size: int) -> Batch:
        """The batch of a sequence of a drawn length, which the end of the text cuts."""
        length = len(arrays) // size
        begin = begin % (length - 1)
        count = jnp.minimum(drawn, length - 1 - begin)
        places, rows = begin + jnp.arange(self.longest), jnp.arange(size)[:, None] * length
        inputs, targets = (arrays[rows + jnp.minimum(places + after, length - 1)] for after in (0, 1))
        counts = jnp.broadcast_to(jnp.arange(self.longest) < count, inputs.shape)
        return Batch(inputs, targets, counts, last=count - 1, pace=drawn / self.bptt)

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        return Batch(*row)

    def loss(self, outputs: Any, batch: Batch) -> tuple[jax.Array, Sums]:
        """Of `recurrent.RecurrentOutputs`; of networks without states, see `stateless`, of whatever has logits. Of
        ensemble members [R, B, T, V] the loss is the sum of theirs, and the perplexity that of the first."""
        logits = outputs.logits
        total, count = likelihood(logits, batch)
        loss = total / count
        if logits.ndim > 3:
            total, _ = likelihood(logits[0], batch)
        mean = total / count
        if self.ar:
            loss += self.ar * _mean_square(outputs.dropped, batch.weights)
        if self.tar:
            both = None if batch.weights is None else batch.weights[:, 1:]
            loss += self.tar * _mean_square(outputs.states[:, 1:] - outputs.states[:, :-1], both)
        return loss, {"loss": (loss, 1), "nll": (total, count), "perplexity": (jnp.exp(mean) * count, count)}

    def evaluate(self, outputs: Any, batch: Batch) -> Sums:
        """ "loss", without regularisers, and "perplexity", here that of the batch."""
        total, count = likelihood(outputs.logits, batch)
        return {"loss": (total, count), "perplexity": (jnp.exp(total / count) * count, count)}

    def measures(self, sums: Sums) -> dict[str, float]:
        return with_perplexity(sums)


@dataclass(frozen=True, eq=False, kw_only=True)
class Language(LanguageSteps):
    """`task.Task` of a text."""

    text: Text
    stage: str = "search"
    name: ClassVar[str] = "language"
    takes: ClassVar[str] = "tokens"

    @property
    def pure(self) -> Any:
        return pure_part(self, LanguageSteps)

    def stateless(self) -> "Language":
        """The same for networks without a state. Errors: `UserError` for weights of regularisers that were set."""
        if self.ar or self.tar not in (0, LanguageSteps.tar):
            raise UserError(
                "The settings 'ar' and 'tar' of task 'language' regularise the states of recurrent cells, and networks "
                "of this space have none: leave them out."
            )
        return replace(self, tar=0.0)

    @property
    def shape(self) -> Shape:
        words = len(self.text.vocabulary)
        return Shape(words, (self.bptt,), words)

    @property
    def note(self) -> str:
        notes = (self.text.note, SEARCH_NOTE if self.stage == "search" else "")
        return "; ".join(note for note in notes if note)

    @property
    def sizes(self) -> str:
        text = self.text
        if self.stage != "search":
            return f"{text.name} ({len(text.train):,} {text.unit})"
        return f"{text.name}: {len(text.train):,} {text.unit} for the weights, {len(text.valid):,} for the alphas"

    def described(self) -> dict[str, Any]:
        text = self.text
        sizes = {"train": len(text.train), "valid": len(text.valid), "test": len(text.test)}
        checksum = {"crc32": zlib.crc32(text.train.tobytes())}
        about = {"name": text.name, "note": self.note} | sizes | checksum | {"vocabulary": text.vocabulary}
        return about | ({"tokens": text.unit} if text.characters else {})

    def measures(self, sums: Sums) -> dict[str, float]:
        """Of characters also the bits of one."""
        found = super().measures(sums)
        if self.text.characters and found:
            found["bits_per_character"] = float(np.log2(found["perplexity"]))
        return found

    def arrays(self, part: str) -> Tree:
        return self._part(part)

    def steps(self, part: str, batch_size: int) -> int:
        return steps_of(len(self._part(part)), batch_size, self.bptt * (1 - self.halved / 2))

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        """In order, so that the state can be carried from one to the next."""
        tokens = self._part(part)
        size = min(EVALUATION_COLUMNS, len(tokens) // 2)
        length, steps = len(tokens) // size, steps_of(len(tokens), size, self.bptt)
        columns = tokens[: size * length].reshape(size, length)
        places = np.arange(steps * self.bptt)
        counted = np.broadcast_to(places < length - 1, (size, len(places)))
        leaves = (*(columns[:, np.minimum(places + after, length - 1)] for after in (0, 1)), counted)
        return tuple(leaf.reshape(size, steps, self.bptt).swapaxes(0, 1) for leaf in leaves), ()

    def tokens(self, given: object) -> list[np.ndarray]:
        """Texts, strings (or UTF-8) in which the end of a line is a word, or lists of words or characters, in numbers.

        Errors: `UserError` for what is none, has no words, or one that the vocabulary has no number for.
        """
        if isinstance(given, str | bytes) or not isinstance(given, list | tuple) or not given:
            found = "an empty list" if isinstance(given, list | tuple) else f"a {type(given).__name__}"
            raise UserError(f"Texts are a list of strings or of lists of words, not {found}: write ['a first text'].")
        vocabulary, characters = self.text.vocabulary, self.text.characters
        return [
            numbered(words_of(one, f"text {i}", characters), vocabulary, f"text {i}") for i, one in enumerate(given, 1)
        ]

    def chooser(self, random: np.random.Generator) -> Callable[[np.ndarray], int]:
        """log-probabilities [V] -> a word drawn by them, none that stands for others."""
        known = np.array([word != UNKNOWN for word in self.text.vocabulary])

        def choose(logs: np.ndarray) -> int:
            shares = np.where(known, np.exp(logs), 0)
            return int(random.choice(len(shares), p=shares / shares.sum()))

        return choose

    def written(self, tokens: np.ndarray) -> str:
        """Words with blanks between them, and lines with their ends; characters as they are."""
        words = [self.text.vocabulary[token] for token in tokens]
        if self.text.characters:
            return "".join(words)
        return " ".join(words).replace(f" {END}", "\n").replace(END, "\n").replace("\n ", "\n")

    def _part(self, part: str) -> np.ndarray:
        return getattr(self.text, part)


def task(
    *,
    bptt: Annotated[int, Range(1, 10_000)] = 35,
    ar: Amount = 0.0,
    tar: Amount = 1e-3,
    halved: Probability = 0.0,
    spread: Annotated[float, Range(0, 1000)] = 0.0,
) -> Binding:
    """Words of a text, or its characters, as its data set says. bptt: words of a sequence; ar, tar: weights of
    activation regularisation, that of the states after dropout, and of temporal one, that of their changes. halved: how
    often a training sequence is meant to have half as many; spread: standard deviation of its words from that, when a
    network is trained from scratch: as DARTS' code has it, those of a search deviate no further."""
    if halved and bptt == 1:
        raise UserError("The setting 'halved' of task 'language' halves bptt=1: set a larger bptt, or leave it out.")

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[Language, Any]:
        if not isinstance(dataset, Text):
            raise UserError(f"The task 'language' needs a text, not '{dataset.name}': choose data 'ptb', say.")
        if config.dtype == "bfloat16":
            raise UserError("The task 'language' computes in the type of the weights: set dtype to 'float32'.")
        if stage == "retrain" and plan.valid_portion:
            raise UserError(
                f"retrain.valid_portion is {plan.valid_portion:g}, but a text has a validation part of its own: leave "
                "it out."
            )
        parts = ("train", "valid") if stage == "search" else ("train",)
        for part in parts:
            check_length(dataset, part, plan.batch_size, f"{stage}.batch_size")
        deviation = spread if stage == "retrain" else 0.0
        found = Language(text=dataset, stage=stage, bptt=bptt, ar=ar, tar=tar, halved=halved, spread=deviation)
        if stage == "search" and not found.steps("train", plan.batch_size * plan.inner_steps):
            raise UserError(
                f"search.inner_steps is {plan.inner_steps}, each with {plan.batch_size} columns, but the train part of "
                f"'{dataset.name}' has {len(dataset.train):,} words: choose fewer."
            )
        return found, plan

    return bind


def check_length(text: Text, part: str, columns: int, field: str) -> None:
    """Errors: `UserError` for a part whose columns would have nothing to predict."""
    words = len(getattr(text, part))
    if words < 2 * columns:
        raise UserError(
            f"{field} is {columns}, but the {part} part of '{text.name}' has {words:,} words: "
            f"choose at most {words // 2}, of which every column has two."
        )


def steps_of(words: int, columns: int, bptt: float) -> int:
    """Sequences of so many words in a column; its last word is predicted only."""
    return int(-(-(words // columns - 1) // bptt))


def with_perplexity(sums: Sums) -> dict[str, float]:
    """The means; the perplexity is that of all words together, not the mean over batches."""
    found = means(sums)
    likelihood = found.pop("nll", found.get("loss"))
    if likelihood is None:
        return {}
    with np.errstate(over="ignore"):
        return {**found, "perplexity": float(np.exp(likelihood))}


def likelihood(logits: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array | int]:
    """Sum of the negative log-likelihoods of the words that count, and their number."""
    targets = jnp.broadcast_to(batch.targets, logits.shape[:-1])
    return weighted(optax.softmax_cross_entropy_with_integer_labels(logits, targets), batch)


def _mean_square(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """The mean over [B, T, H] of what counts; 0 where nothing does."""
    if weights is None:
        return jnp.square(values).mean()
    counted = weights.astype(values.dtype)[..., None]
    return (jnp.square(values) * counted).sum() / jnp.maximum(counted.sum() * values.shape[-1], 1)
