"""Translation: the next token of a text, given another text and what stands before the token.

Sources and targets become tokens by what is learned from the part that is trained on, and is kept with the run; a
target stands between a begin and an end. In training networks see the right tokens before each (teacher forcing).
Padding, token 0, stands behind both: no network looks at that of a source, and what is said of that of a target does
not count. Networks are chosen by perplexity; BLEU and chrF are of what beam search (`nets/beam.py`) writes.
Axis letters: N pairs, B batch, S tokens of a source, T of a target, V vocabulary of targets, R ensemble members.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.config import AugmentConfig, Config
from dnas.data import joined_notes
from dnas.data._arrays import validation_count
from dnas.data._pairs import Lines, Pairs
from dnas.data._tokeniser import PADDING, UNKNOWN, Tokeniser, padded, read, trained
from dnas.errors import UserError, unknown
from dnas.ranges import Count, Range
from dnas.tasks.language import with_perplexity
from dnas.tasks.lengths import Buckets, bucket_lengths, sorted_rows
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.tabular import check
from dnas.tasks.task import VALIDATES, Binding, Score, Shape, Sums, pure_part, weighted
from dnas.tasks.text_classification import LONGER, SEARCH_NOTE, cut_note, texts_of
from dnas.tasks.translation_scores import Compared, compared, scores_of
from dnas.types import Batch, Tree

BEGIN, END = 2, 3
ENDS = ("<s>", "</s>")
EVALUATION_TOKENS = 4096  # of a batch: its logits are as many times the vocabulary


@dataclass(frozen=True, eq=False, kw_only=True)
class TranslationSteps:
    """What traced functions hold. smoothing: share of a token spread over the vocabulary. buckets: see
    `task.Bucketed`; targets have one token more, their end."""

    smoothing: float = 0.0
    buckets: tuple[int, ...] = ()
    score: ClassVar[Score] = Score("perplexity", more=False)
    trained: ClassVar[tuple[str, ...]] = ("loss", "nll", "perplexity", "accuracy")
    measured: ClassVar[tuple[str, ...]] = ("loss", "perplexity", "accuracy")

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return random_order(key, len(arrays[0]), needed)

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        return _forced(*(tokens[rows] for tokens in arrays))

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        source, target, counted = row
        batch = _forced(source, target)
        return batch._replace(weights=batch.weights & counted[:, None])

    def lengths(self, rows: Tree) -> jax.Array:
        """The longer of source and target, without begin and end; of sources alone their own."""
        source, *target = ((tokens != PADDING).sum(-1) for tokens in rows[:2])
        return jnp.maximum(source, target[0] - len(ENDS)) if target else source

    def cut_to(self, batch: Batch, length: int) -> Batch:
        source, target = batch.inputs
        targets, weights = (None if one is None else one[..., : length + 1] for one in (batch.targets, batch.weights))
        return batch._replace(
            inputs=(source[..., :length], target[..., : length + 1]), targets=targets, weights=weights
        )

    def loss(self, outputs: Any, batch: Batch) -> tuple[jax.Array, Sums]:
        """Of logits [B, T, V]; of ensemble members [R, B, T, V] the sum of their losses, and the measures of the
        first."""
        logits = outputs if isinstance(outputs, jax.Array) else outputs.logits
        weights = batch.weights
        if weights is None:
            weights = jnp.ones(batch.targets.shape, bool)
        count = jnp.maximum(weights.sum().astype(logits.dtype), 1)
        labels = optax.smooth_labels(
            jax.nn.one_hot(batch.targets, logits.shape[-1], dtype=logits.dtype), self.smoothing
        )
        losses = optax.softmax_cross_entropy(logits, labels)
        loss = ((losses * weights).sum((-1, -2)) / count).sum()
        own = self.evaluate(logits.reshape(-1, *logits.shape[-3:])[0], batch)
        return loss, {"loss": (loss, 1), "nll": own["loss"], **{name: own[name] for name in ("perplexity", "accuracy")}}

    def evaluate(self, outputs: Any, batch: Batch) -> Sums:
        """ "loss", "perplexity", here that of the batch, and "accuracy", the share of tokens that are most likely."""
        logits = outputs if isinstance(outputs, jax.Array) else outputs.logits
        total, count = weighted(optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets), batch)
        right, _ = weighted((logits.argmax(-1) == batch.targets).astype(logits.dtype), batch)
        perplexity = jnp.exp(total / jnp.maximum(count, 1)) * count
        return {"loss": (total, count), "perplexity": (perplexity, count), "accuracy": (right, count)}

    def measures(self, sums: Sums) -> dict[str, float]:
        return with_perplexity(sums)


def _forced(source: jax.Array, target: jax.Array) -> Batch:
    """source [B, S], target [B, T + 1] with begin and end."""
    return Batch((source, target[:, :-1]), target[:, 1:], target[:, 1:] != PADDING)


@dataclass(frozen=True, eq=False, kw_only=True)
class Translation(TranslationSteps):
    """`task.Task` and `task.Writing` of pairs of texts. tokeniser: of sources. parts: tokens int32 [N, S] and
    [N, T + 1] of "train", of "valid" in a search and where some of it validates, and of "test" after a search. lines:
    the texts of each. max_length, longer, lower, beam, penalty: see `task`. cut: a note on texts that are
    longer."""

    pairs: Pairs
    tokeniser: Tokeniser
    target_tokeniser: Tokeniser
    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    lines: dict[str, Lines]
    max_length: int
    beam: int
    penalty: float
    longer: str = "cut"
    lower: bool = False
    stage: str = "search"
    cut: str = ""
    ends: ClassVar[tuple[int, int]] = (BEGIN, END)
    name: ClassVar[str] = "translation"
    takes: ClassVar[str] = "pairs"

    @property
    def pure(self) -> Any:
        return pure_part(self, TranslationSteps)

    @property
    def length(self) -> int:
        """S."""
        return self.max_length

    @property
    def longest(self) -> int:
        """T."""
        return self.max_length + 1

    @property
    def shape(self) -> Shape:
        return Shape(self.target_tokeniser.size, (self.max_length,), self.tokeniser.size)

    @property
    def note(self) -> str:
        official = self.stage == "search" and bool(self.pairs.valid.sources)
        return joined_notes(self.pairs.note, SEARCH_NOTE if official else "", self.cut)

    @property
    def sizes(self) -> str:
        name, count = self.pairs.name, len(self.parts["train"][0])
        if "valid" not in self.parts:
            return f"{name} ({count:,} pairs)"
        return f"{name}: {count:,} pairs for the weights, {len(self.parts['valid'][0]):,} {VALIDATES[self.stage]}"

    def described(self) -> dict[str, Any]:
        x, y = self.parts["train"]
        sizes = {name: len(source) for name, (source, _) in self.parts.items()}
        checksum = {"crc32": zlib.crc32(y.tobytes(), zlib.crc32(x.tobytes()))}
        tokenisers = [one.written() for one in (self.tokeniser, self.target_tokeniser)]
        about = {"name": self.pairs.name, "note": self.note}
        return about | sizes | checksum | {"length": self.max_length, "tokenisers": tokenisers}

    def arrays(self, part: str) -> Tree:
        return self.parts[part]

    def steps(self, part: str, batch_size: int) -> int:
        return -(-len(self.parts[part][0]) // batch_size) if part in self.parts else 0

    def evaluation(self, part: str) -> tuple[Tree, Tree]:
        """After a search short pairs come first where batches are cut."""
        source, target = self.parts[part]
        size = min(max(1, EVALUATION_TOKENS // target.shape[1]), len(source))
        rows, counted = padded_rows(len(source), size)
        if self.stage != "search":
            rows = sorted_rows(np.asarray(self.lengths((source, target))), rows, self.buckets)
        return (source[rows], target[rows], counted), ()

    def inputs(self, given: object) -> np.ndarray:
        """Tokens int32 [B, S] of texts, a list of strings; what is longer than S is cut, or refused, as the task says.

        Errors: `UserError` for anything else, and for a text without words.
        """
        return padded(self._given(self.tokeniser, given, "text"), self.max_length)

    def paired(self, given: object, targets: object) -> tuple[np.ndarray, np.ndarray]:
        """Tokens int32 [B, S] and [B, T + 1] of texts and their translations. Errors: as `inputs`, and for other
        numbers of both."""
        source, tokens = self.inputs(given), self._given(self.target_tokeniser, targets, "translation")
        if len(source) != len(tokens):
            raise UserError(
                f"There are {len(source):,} texts and {len(tokens):,} translations: give every text one of its own."
            )
        return source, padded(list(map(_between, tokens)), self.max_length + 2)

    def _given(self, tokeniser: Tokeniser, given: object, name: str) -> list[np.ndarray]:
        """Tokens of each text. name: of one of them."""
        texts = texts_of(given)
        tokens, places = _tokens(tokeniser, texts), [f"{name} {number}" for number in range(1, len(texts) + 1)]
        cut_note(tokens, places, self.max_length, self.longer, "given")
        return tokens

    def sources(self, part: str) -> np.ndarray:
        return self.parts[part][0]

    def text(self, tokens: np.ndarray) -> str:
        """Of tokens [T] what stands before the end."""
        ends = np.flatnonzero((tokens == END) | (tokens == PADDING))
        return self.target_tokeniser.text(tokens[: ends[0]] if len(ends) else tokens)

    def scored(self, texts: Sequence[str], part: str) -> tuple[dict[str, float], dict[str, str]]:
        """BLEU and chrF, against whole targets, also where what is read of them is cut."""
        return scores_of(texts, self.lines[part].targets, tokenised=self.pairs.tokenised, lower=self.lower)

    def compared(self, texts: Sequence[str], part: str) -> list[Compared]:
        """Every text of a part beside its whole target."""
        lines = self.lines[part]
        return compared(lines.sources, lines.targets, texts, tokenised=self.pairs.tokenised, lower=self.lower)


def task(
    *,
    tokens: str = "bpe",
    vocabulary: Annotated[int, Range(10, 1_000_000)] = 8_000,
    least: Count = 1,
    shared: bool = False,
    lower: bool = False,
    max_length: Annotated[int, Range(1, 4096)] = 64,
    longer: str = "cut",
    beam: Annotated[int, Range(1, 1024)] = 4,
    penalty: Annotated[float, Range(0, 10)] = 0.6,
    buckets: Buckets = 1,
) -> Binding:
    """tokens: "bpe", pieces of words, or "words". vocabulary: tokens of a language at most, the most frequent; least:
    how often one is in the texts at least; shared: both languages have the same; lower: whether letters are made small.
    max_length: tokens of a text; of a longer one the first, as a note says, or it is refused: longer, "cut" or
    "refuse". beam: translations that are kept while one is written; penalty: the length penalty among them, 0: none.
    buckets: lengths up to max_length, in equal steps, that batches of pairs of like length are computed at; 1: all are
    filled up to max_length."""
    name = Translation.name
    if longer not in LONGER:
        raise unknown(f"value of setting 'longer' of task '{name}':", longer, LONGER)
    settings: dict[str, Any] = {"kind": tokens, "size": vocabulary, "least": least, "lower": lower}

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[Translation, Any]:
        if not isinstance(dataset, Pairs):
            raise UserError(
                f"The task '{name}' needs texts with their translations, such as 'multi30k' or "
                f"'parallel_text:source=FILE,target=FILE', not '{dataset.name}'."
            )
        if config.dtype == "bfloat16":
            raise UserError(f"The task '{name}' computes in the type of the weights: set dtype to 'float32'.")
        lines = parts_of(dataset, plan, config, stage)
        check(plan, dataset.name, {part: len(one.sources) for part, one in lines.items()}, "pairs")
        given = [read(written) for written in dataset.tokenisers]
        source, target = given if given else _made(lines["train"], shared, settings)
        parts, notes = {}, []
        for part, one in lines.items():
            numbers = _tokens(source, one.sources), _tokens(target, one.targets)
            notes += _cut_notes(numbers, one, max_length, longer, part)
            parts[part] = padded(numbers[0], max_length), padded(list(map(_between, numbers[1])), max_length + 2)
        found = Translation(
            pairs=dataset,
            tokeniser=source,
            target_tokeniser=target,
            parts=parts,
            lines=lines,
            max_length=max_length,
            beam=beam,
            penalty=penalty,
            longer=longer,
            lower=lower,
            stage=stage,
            cut=joined_notes(*notes),
            buckets=bucket_lengths(max_length, buckets),
            smoothing=0.0 if stage == "search" else plan.label_smoothing,
        )
        return found, replace(plan, augment=AugmentConfig(pad=0, flip=False, cutout=0))  # which is for images

    return bind


def parts_of(dataset: Pairs, plan: Any, config: Config, stage: str) -> dict[str, Lines]:
    """The parts that a stage uses. Where a data set has no validation part, a portion of its train part is split off:
    in a search by the seed of the run, in a training, if wanted, the same for every seed.

    Errors: `UserError` for a portion where there is an official part.
    """
    found = {"train": dataset.train}
    if dataset.valid.sources:
        if stage == "retrain" and plan.valid_portion:
            raise UserError(
                f"retrain.valid_portion is {plan.valid_portion:g}, but '{dataset.name}' has a validation part of its "
                "own: leave it out."
            )
        found["valid"] = dataset.valid
    elif stage == "search" or plan.valid_portion:
        total = len(dataset.train.sources)
        count = validation_count(total, plan.valid_portion)
        order = np.random.default_rng(config.seed if stage == "search" else 0).permutation(total)
        rows = {"train": np.sort(order[count:]), "valid": np.sort(order[:count])}
        found = {part: dataset.train.taken(rows[part]) for part in rows}
    return found if stage == "search" else found | {"test": dataset.test}


def _made(train: Lines, shared: bool, settings: dict[str, Any]) -> tuple[Tokeniser, Tokeniser]:
    """The tokenisers of sources and of targets. settings: of `_tokeniser.trained`."""
    settings = settings | {"blanks": True, "special": ENDS}
    if shared:
        both = trained([*train.sources, *train.targets], **settings)
        return both, both
    return trained(train.sources, **settings), trained(train.targets, **settings)


def _cut_notes(
    numbers: tuple[list[np.ndarray], list[np.ndarray]], lines: Lines, length: int, longer: str, part: str
) -> list[str]:
    """Of sources and of targets, see `cut_note`."""
    sources, targets = ([place[which] for place in lines.places] for which in (0, 1))
    return [
        cut_note(numbers[0], sources, length, longer, f"{part} source"),
        cut_note(numbers[1], targets, length, longer, f"{part} target"),
    ]


def _tokens(tokeniser: Tokeniser, texts: Sequence[str]) -> list[np.ndarray]:
    """Of texts, in which whoever writes <s> or </s> means a word."""
    return [np.where((one == BEGIN) | (one == END), UNKNOWN, one).astype(np.int32) for one in tokeniser(texts)]


def _between(tokens: np.ndarray) -> np.ndarray:
    """With begin and end. What is cut later has no end, as its text goes on."""
    return np.array([BEGIN, *tokens, END], np.int32)
