"""What exported networks read: raw inputs, whose preprocessing becomes part of the program.

Axis letters: B batch, H W C, S samples, T tokens, N columns of numbers, K columns of categories, F features.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.data._features import Features
from dnas.data._tokeniser import Tokeniser
from dnas.errors import UserError
from dnas.loading import Found
from dnas.tasks.audio_classification import SoundClasses
from dnas.tasks.images import OfImages
from dnas.tasks.language import Language
from dnas.tasks.spectra import Waveforms
from dnas.tasks.tabular import Rows
from dnas.tasks.text_classification import SentenceClasses
from dnas.tasks.translation import Translation
from dnas.types import Tree

EXAMPLES = 8  # with which an exported program is compared


class Inputs(NamedTuple):
    """The arguments of an exported function.

    arrays: what each is like for one example, by name. read: traced, arrays [B, ...] -> what the task makes batches of.
    examples: arguments, and what the task makes of them. script: of `_scripts/`, which calls the program. about: what
    that reads beside the classes; ready for JSON. files: that it reads, by name. says: a line of a card for each
    argument. wide: whether an argument is float64.
    """

    arrays: Mapping[str, jax.ShapeDtypeStruct]
    read: Callable[..., Tree]
    examples: tuple[tuple[np.ndarray, ...], Tree]
    script: str
    about: Mapping[str, Any]
    says: Mapping[str, str]
    files: Mapping[str, str] = {}
    wide: bool = False


def inputs_of(found: Found) -> Inputs:
    """Errors: `UserError` for a network whose task has no program."""
    kinds = {
        OfImages: _images,
        SoundClasses: _sounds,
        SentenceClasses: _texts,
        Rows: _rows,
        Language: _language,
        Translation: _translation,
    }
    for kind, reader in kinds.items():
        if isinstance(found.task, kind):
            return reader(found)
    raise UserError(
        f"Programs are exported of networks whose inputs are known, and those of the task '{found.task.name}' are not: "
        "use --format npz for its weights."
    )


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


def _alike(name: str, x: np.ndarray, script: str, about: dict[str, Any], says: str, **more: Any) -> Inputs:
    """Of a task that makes batches of the argument itself. x: examples."""
    one = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return Inputs({name: one}, lambda given: given, ((x,), x), script, about, {name: says}, **more)


def _images(found: Found) -> Inputs:
    shape = found.task.shape.inputs
    x = _random().integers(0, 256, (EXAMPLES, *shape), np.uint8)
    says = f"images, {shape[0]} rows of {shape[1]} pixels, {shape[2]} channel(s), from 0 to 255"
    return _alike("images", x, "images", {"image": list(shape)}, says)


def _sounds(found: Found) -> Inputs:
    """Lengths are read by networks of sequences alone; others hear the zeros behind as well."""
    task = found.task
    lengths = np.linspace(1, task.length, EXAMPLES).astype(np.int32)
    x = _random().integers(-(2**15), 2**15, (EXAMPLES, task.length)).astype(np.int16)
    x *= np.arange(task.length) < lengths[:, None]
    rate = task.recordings.sample_rate
    return Inputs(
        {"sounds": jax.ShapeDtypeStruct(x.shape[1:], x.dtype), "lengths": jax.ShapeDtypeStruct((), lengths.dtype)},
        Waveforms,
        ((x, lengths), Waveforms(x, lengths)),
        "sounds",
        {"samples": task.length, "sample_rate": rate},
        {
            "sounds": f"{task.length:,} samples of one channel at {rate:,} Hz, zeros behind shorter sounds",
            "lengths": "how many of these are the sound's, at least 1",
        },
    )


def _texts(found: Found) -> Inputs:
    task, x = found.task, _tokens(found)
    written = json.loads(task.tokeniser.written())
    of_words = written["model"]["type"] == "WordLevel"
    files = {"vocabulary.json": _vocabulary(task.tokeniser)}
    if not of_words:
        files["tokeniser.json"] = task.tokeniser.written()
    lower = "Lowercase" in json.dumps(written["normalizer"])
    about = {"length": task.length, "cut": task.longer == "cut", "lower": lower}
    says = f"{task.length} tokens by their place in vocabulary.json; 0 behind shorter texts, 1 for what is unknown"
    return _alike("tokens", x, "words" if of_words else "pieces", about, says, files=files)


def _tokens(found: Found) -> np.ndarray:
    """Of texts [B, S], padding behind them."""
    task = found.task
    x = _random().integers(1, task.tokeniser.size, (EXAMPLES, task.length)).astype(np.int32)
    x[:, (task.length + 1) // 2 :] = 0
    return x


def _vocabulary(tokeniser: Tokeniser) -> str:
    return json.dumps([tokeniser.made.id_to_token(code) for code in range(tokeniser.size)])


def _translation(found: Found) -> Inputs:
    """Sources; what is written behind them has a vocabulary of its own."""
    task = found.task
    pieces = json.loads(task.target_tokeniser.written())["model"]["type"] == "BPE"
    about = {"length": task.length, "cut": task.longer == "cut", "pieces": pieces}
    says = f"{task.length} tokens by tokeniser.json; 0 behind shorter texts, 1 for what is unknown"
    files = {"tokeniser.json": task.tokeniser.written(), "vocabulary.json": _vocabulary(task.target_tokeniser)}
    return _alike("tokens", _tokens(found), "translation", about, says, files=files)


def _language(found: Found) -> Inputs:
    """A piece of a text; of networks that carry a state, that before it as well."""
    task, random = found.task, _random()
    counts = np.linspace(1, task.bptt, EXAMPLES).astype(np.int32)
    tokens = random.integers(0, len(task.text.vocabulary), (EXAMPLES, task.bptt)).astype(np.int32)
    carry = found.functional.carry
    states = [] if carry is None else [np.asarray(leaf) for leaf in jax.tree.leaves(carry(EXAMPLES))]
    named = {f"state_{i}" if len(states) > 1 else "state": leaf for i, leaf in enumerate(states, 1)}
    given = {"tokens": tokens, "counts": counts} | named
    says = {
        "tokens": f"a piece of {task.bptt} tokens by their place in vocabulary.json, any behind the last",
        "counts": "how many of these are the text's, at least 1",
    }
    says |= dict.fromkeys(named, "zeros before the first piece, then what the piece before has left")
    return Inputs(
        {name: jax.ShapeDtypeStruct(one.shape[1:], one.dtype) for name, one in given.items()},
        lambda *pieces: pieces,
        (tuple(given.values()), [row[:count] for row, count in zip(tokens, counts, strict=True)]),
        "language",
        {
            "length": task.bptt,
            "characters": task.text.characters,
            "state": [list(leaf.shape[1:]) for leaf in states],
        },
        says,
        files={"vocabulary.json": json.dumps(task.text.vocabulary)},
    )


def _rows(found: Found) -> Inputs:
    task = found.task
    columns, values = task.table.columns, task.parts["test"].values
    known = task.features.categories()
    kinds = {kind: [i for i, column in enumerate(columns) if column.kind == kind] for kind in ("number", "category")}
    numbers, categories = ([columns[i].name for i in kinds[kind]] for kind in ("number", "category"))
    arrays, given, says = {}, [], {}
    rows = np.arange(EXAMPLES) % len(values[0])
    if numbers:
        arrays["numbers"] = jax.ShapeDtypeStruct((len(numbers),), np.float64)
        given.append(np.stack([values[i][rows] for i in kinds["number"]], 1))
        says["numbers"] = "the columns `numbers` of model.json in their order, NaN where missing"
    if categories:
        arrays["categories"] = jax.ShapeDtypeStruct((len(categories),), np.int32)
        codes = [
            [{text: code for code, text in enumerate(texts)}.get(value, -1) for value in values[i][rows]]
            for i, texts in zip(kinds["category"], known, strict=True)
        ]
        given.append(np.array(codes, np.int32).T)
        says["categories"] = "the columns `categories` of model.json as places in their lists, -1 for what is not there"
    about = {"numbers": numbers, "categories": [list(pair) for pair in zip(categories, known, strict=True)]}
    return Inputs(
        arrays,
        row_features(task.features, bool(numbers), bool(categories)),
        (tuple(given), task.features(tuple(column[rows] for column in values)).astype(task.dtype)),
        "rows",
        about | {"target": task.table.target},
        says,
        wide=bool(numbers),
    )


def row_features(features: Features, numbers: bool, categories: bool) -> Callable[..., jax.Array]:
    """What rows become, traced: numbers float64 [B, N] and categories int32 [B, K], where there are any, -> float32
    [B, F]. It is computed in float64, as scikit-learn does."""

    def read(*given: jax.Array) -> jax.Array:
        left, parts = list(given), []
        if numbers:
            x, steps = left.pop(0), features.numbers()
            missing = jnp.isnan(x)
            filled = jnp.where(missing, jnp.asarray(steps.fills)[None], x)
            wide = jnp.concatenate([filled, missing[:, steps.flagged].astype(x.dtype)], 1)
            parts.append(((wide - steps.means[None]) / steps.scales[None]).astype(jnp.float32))
        if categories:
            codes = left.pop(0)
            for column, table in enumerate(features.codes()):
                own, unknown = codes[:, column], len(table) - 1
                place = jnp.where((own >= 0) & (own < unknown), own, unknown)
                parts.append(jnp.asarray(table, jnp.float32)[place])
        return jnp.concatenate(parts, 1)

    return read
