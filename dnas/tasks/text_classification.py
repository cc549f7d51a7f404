"""Classes of sentences: texts become numbers of tokens, filled up to one length with zeros that no network looks at.

What a text becomes is learned from the part that is trained on, and kept with the run. Word dropout makes tokens
unknown in training (Bowman et al. 2016, arXiv:1511.06349). Axis letters: N texts, B batch, T time.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.config import AugmentConfig, Config
from dnas.data import joined_notes, named
from dnas.data._arrays import stratified_order, validation_count
from dnas.data._files import check_memory
from dnas.data._sentences import Examples, Sentences
from dnas.data._tokeniser import PADDING, UNKNOWN, Tokeniser, padded, read, trained
from dnas.errors import UserError, unknown
from dnas.ranges import Count, Portion, Range
from dnas.tasks.classification import ClassesOfParts, Classification, told
from dnas.tasks.language import SEARCH_NOTE
from dnas.tasks.lengths import Buckets, bucket_lengths, sorted_rows
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.tabular import check
from dnas.tasks.task import EVALUATION_BATCH, VALIDATES, Binding, Shape, Sums, pure_part
from dnas.types import Batch, Tree

LONGER = ("cut", "refuse")


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceSteps(Classification):
    """What traced functions hold. dropped: how often a token becomes unknown in training. buckets: see
    `task.Bucketed`."""

    dropped: float = 0.0
    buckets: tuple[int, ...] = ()

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return random_order(key, len(arrays[0]), needed)

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        x, y = arrays
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        tokens = x[rows]
        if self.dropped:  # drawn place by place, so that what is drawn does not depend on how far texts are filled up
            lost = jax.random.bernoulli(keys.stream(key, "dropped tokens"), self.dropped, tokens.shape[::-1]).T
            tokens = jnp.where(lost & (tokens != PADDING), UNKNOWN, tokens)
        return Batch(tokens, y[rows])

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        return Batch(*row)

    def lengths(self, rows: Tree) -> jax.Array:
        return (rows[0] != PADDING).sum(-1)

    def cut_to(self, batch: Batch, length: int) -> Batch:
        return batch._replace(inputs=batch.inputs[..., :length])


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceClasses(SentenceSteps, ClassesOfParts):
    """`task.Task` of sentences. parts: tokens int32 [N, T] and classes [N] of "train", of "valid" in a search and where
    some of it validates, and of "test" after a search. more: a note beside that of the data set."""

    sentences: Sentences
    tokeniser: Tokeniser
    stage: str = "search"
    longer: str = "cut"
    more: str = ""
    name: ClassVar[str] = "text_classification"
    takes: ClassVar[str] = "tokens"

    @property
    def pure(self) -> Any:
        return pure_part(self, SentenceSteps)

    @property
    def length(self) -> int:
        """T."""
        return self.parts["train"][0].shape[1]

    @property
    def shape(self) -> Shape:
        return Shape(len(self.sentences.classes), (self.length,), self.tokeniser.size)

    @property
    def note(self) -> str:
        official = self.stage == "search" and bool(self.sentences.valid.texts)
        return joined_notes(self.sentences.note, SEARCH_NOTE if official else "", self.more)

    @property
    def sizes(self) -> str:
        name, counts = self.sentences.name, self.counts
        if "valid" not in counts:
            return f"{name} ({counts['train']} texts)"
        return f"{name}: {counts['train']} texts for the weights, {counts['valid']} {VALIDATES[self.stage]}"

    def described(self) -> dict[str, Any]:
        about = {"name": self.sentences.name, "note": self.note, "classes": list(self.sentences.classes)}
        tokens = {"length": self.length, "tokeniser": self.tokeniser.written()}
        return about | self.counts | {"crc32": self.checksum} | tokens

    def arrays(self, part: str) -> Tree:
        return self.parts[part]

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        """After a search short texts come first where batches are cut."""
        x, y = self.parts[part]
        rows, counted = padded_rows(len(y), min(EVALUATION_BATCH, len(y)))
        if self.stage != "search":
            rows = sorted_rows(np.asarray(self.lengths((x,))), rows, self.buckets)
        return (x[rows], y[rows], counted), self.constants

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.sentences.classes

    def inputs(self, given: object) -> np.ndarray:
        """Tokens int32 [B, T] of texts, a list of strings; what is longer than T is cut, or refused, as the task says.

        Errors: `UserError` for anything else, and for a text without words.
        """
        texts = texts_of(given)
        tokens, places = self.tokeniser(texts), [f"text {number}" for number in range(1, len(texts) + 1)]
        cut_note(tokens, places, self.length, self.longer, "given")
        return padded(tokens, self.length)

    def seen(self, part: str, place: int, x: np.ndarray) -> dict[str, str]:
        return {"text": self.tokeniser.text(x[x != PADDING])}

    def measures(self, sums: Sums) -> dict[str, float]:
        return told(super().measures(sums), len(self.class_names))


def task(
    *,
    tokens: str = "words",
    vocabulary: Annotated[int, Range(10, 1_000_000)] = 20_000,
    least: Count = 1,
    lower: bool = True,
    max_length: Annotated[int, Range(1, 4096)] = 64,
    longer: str = "cut",
    dropped: Portion = 0.0,
    buckets: Buckets = 1,
) -> Binding:
    """tokens: "words", or "bpe", pieces of words. vocabulary: tokens at most, the most frequent; least: how often one
    is in the texts at least; lower: whether letters are made small. max_length: tokens of a text; of a longer one the
    first, as a note says, or it is refused: longer, "cut" or "refuse". dropped: how often a token is unknown in
    training. buckets: lengths up to max_length, in equal steps, that batches of texts of like length are computed at;
    1: all are filled up to max_length."""
    name = SentenceClasses.name
    if longer not in LONGER:
        raise unknown(f"value of setting 'longer' of task '{name}':", longer, LONGER)

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[SentenceClasses, Any]:
        if not isinstance(dataset, Sentences):
            raise UserError(
                f"The task '{name}' needs texts with a class each, such as 'sst2' or 'text_table:path=FILE', not "
                f"'{dataset.name}'."
            )
        if config.dtype == "bfloat16":
            raise UserError(f"The task '{name}' computes in the type of the weights: set dtype to 'float32'.")
        examples = parts_of(dataset, plan, config, stage)
        check(plan, dataset.name, {part: len(one.texts) for part, one in examples.items()}, "texts")
        if dataset.tokeniser:
            made = read(dataset.tokeniser)
        else:
            made = trained(examples["train"].texts, kind=tokens, size=vocabulary, least=least, lower=lower)
        check_memory(
            4 * max_length * sum(len(one.texts) for one in examples.values()),
            f"The texts of '{dataset.name}' with max_length={max_length}",
            "choose a smaller max_length, or a limit",
        )
        counts = np.bincount(examples["train"].y, minlength=len(dataset.classes))
        untrained = [repr(name) for name, count in zip(dataset.classes, counts, strict=True) if not count]
        parts, notes = {}, [named("classes without a train text", untrained)]
        for part, one in examples.items():
            numbers = made(one.texts)
            notes.append(cut_note(numbers, one.places, max_length, longer, part))
            parts[part] = padded(numbers, max_length), one.y
        found = SentenceClasses(
            sentences=dataset,
            tokeniser=made,
            parts=parts,
            stage=stage,
            longer=longer,
            more=joined_notes(*notes),
            dropped=dropped,
            buckets=bucket_lengths(max_length, buckets),
            smoothing=0.0 if stage == "search" else plan.label_smoothing,
        )
        return found, replace(plan, augment=AugmentConfig(pad=0, flip=False, cutout=0))  # which is for images

    return bind


def parts_of(dataset: Sentences, plan: Any, config: Config, stage: str) -> dict[str, Examples]:
    """The parts that a stage uses. Where a data set has no validation part, a portion of its train part is split off,
    stratified by class: in a search by the seed of the run, in a training, if wanted, the same for every seed.

    Errors: `UserError` for a portion where there is an official part.
    """
    found = {"train": dataset.train}
    if dataset.valid.texts:
        if stage == "retrain" and plan.valid_portion:
            raise UserError(
                f"retrain.valid_portion is {plan.valid_portion:g}, but '{dataset.name}' has a validation part of its "
                "own: leave it out."
            )
        found["valid"] = dataset.valid
    elif stage == "search" or plan.valid_portion:
        count = validation_count(len(dataset.train.y), plan.valid_portion)
        order = stratified_order(dataset.train.y, config.seed if stage == "search" else 0)
        rows = {"train": np.sort(order[count:]), "valid": np.sort(order[:count])}
        found = {part: dataset.train.taken(rows[part]) for part in rows}
    return found if stage == "search" else found | {"test": dataset.test}


def cut_note(tokens: list[np.ndarray], places: Any, length: int, longer: str, part: str) -> str:
    """A note on the texts that are longer than `length` tokens. Errors: `UserError` where they are refused, and for one
    without any token."""
    lengths = np.array(list(map(len, tokens)), int)
    for number, place in enumerate(places):
        if not lengths[number]:
            raise UserError(f"Cannot read {place}: it has no words.")
        if longer == "refuse" and lengths[number] > length:
            raise UserError(
                f"Cannot read {place}: it has {lengths[number]:,} tokens, and the task takes {length:,}: raise "
                "max_length, or have it cut with longer=cut."
            )
    cut = np.flatnonzero(lengths > length)
    if not len(cut):
        return ""
    read = f"of {len(cut):,} of {len(lengths):,} {part} texts only the first {length:,} tokens are read"
    return f"{read} (the first: {places[cut[0]]})"


def texts_of(given: object) -> list[str]:
    """Errors: `UserError` for anything but a list of texts."""
    if isinstance(given, str | bytes) or not isinstance(given, list | tuple | np.ndarray):
        raise UserError(f"Texts are a list of strings, not of type {type(given).__name__}: write ['a first text'].")
    for number, one in enumerate(given, 1):
        if not isinstance(one, str):
            raise UserError(f"Texts are strings, and text {number} is of type {type(one).__name__}: convert it.")
        if not one.strip():
            raise UserError(f"Cannot read text {number}: it has no words.")
    return [str(one) for one in given]
