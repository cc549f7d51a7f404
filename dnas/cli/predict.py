"""`dnas predict`."""

import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dnas.cli.networks import Trained, network_of
from dnas.cli.parsing import Flag, optional
from dnas.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from dnas.data._tokeniser import Tokeniser
    from dnas.loading.found import Found

GREY = (0.299, 0.587, 0.114)
MOST_BYTES = 2**26  # of a text
NEXT_WORDS = 5  # of a text that are said


@dataclass(frozen=True)
class Predict(Trained):
    """Say what a network makes of files: a line for each image, recording, row of a table, or text.

    Of an image, a recording, a row and a text with a class it is class and probability, or a number; of other texts the
    translation alone, or the perplexity and the most probable words (or characters) that follow, with --more also a
    text that the network writes behind it. With --weights RUN is a genotype, as in dnas test.

    Examples:
      dnas predict runs/first/retrain seven.png nine.png
      dnas predict runs/first/retrain *.jpg --json > answers.jsonl
      dnas predict runs/digits/retrain seven.wav
      dnas predict runs/houses/retrain new.csv
      dnas predict runs/rnn/retrain beginning.txt
      dnas predict runs/characters/retrain "the meaning of" --more 80
      dnas predict runs/reviews/retrain "a fine film" more.txt
      dnas predict runs/multi30k/retrain english.txt > german.txt
      dnas predict runs/multi30k/retrain "a man ." --target "ein mann ."
    """

    files: Annotated[tyro.conf.Positional[tuple[str, ...]], optional("FILE [FILE ...]")] = ()
    """Images in any usual format, whose centre squares are resized to what the network was trained on; wav or
    flac files, resampled to its sample rate; CSV, TSV or parquet files with the columns of the table it was trained on;
    or texts in UTF-8. Texts may be written here as they are; files have a text to be classified or translated on each
    line."""
    target: Annotated[tuple[str, ...], optional("TEXT|FILE [TEXT|FILE ...]")] = ()
    """Of a translation network: a translation of each text, or files of them, of which it is said how likely they are;
    none is written then."""
    more: int = 0
    """Of a language model: so many words, or characters, that it writes behind each text, drawn by their
    probabilities."""
    json: Flag = False
    """A JSON object for each: file, class, probability, and the probabilities of all classes, say."""


def run(options: Predict) -> None:
    """`dnas predict`."""
    if not options.files:
        raise UserError(
            "dnas predict needs at least one file: an image, a recording, a table or a text, as the network reads."
        )
    if options.data is not None and options.weights is None:
        raise UserError("dnas predict takes no --data: a run knows what its network reads, so leave it out.")
    found = network_of(options)
    reader = _reader(found)
    if reader is _translations:
        reader = partial(_translations, targets=options.target)
    elif options.target:
        raise UserError("--target is for networks that translate, and this one does not: leave it out.")
    if reader is _texts:
        reader = partial(_texts, more=options.more)
    elif options.more:
        raise UserError("--more is for networks that say what follows in a text, and this one does not: leave it out.")
    for line, answer in reader(found, options.files):
        print(json.dumps(answer) if options.json else line)


def _reader(found: "Found") -> Any:
    """What reads files for a network. Errors: `UserError` where nothing does."""
    from dnas.tasks.audio_classification import SoundClasses
    from dnas.tasks.images import Images
    from dnas.tasks.language import Language
    from dnas.tasks.tabular import Rows
    from dnas.tasks.text_classification import SentenceClasses
    from dnas.tasks.translation import Translation

    of_texts = (Language, _texts), (SentenceClasses, _sentences), (Translation, _translations)
    for kind, reader in ((Images, _images), (SoundClasses, _sounds), (Rows, _rows), *of_texts):
        if isinstance(found.task, kind):
            return reader
    raise UserError(f"Inputs of the task '{found.task.name}' are in no files that dnas predict reads: use Python.")


def _images(found: "Found", files: tuple[str, ...]) -> Any:
    import numpy as np

    from dnas.data._images import read_square

    height, width, channels = found.images.shape
    if height != width or channels not in (1, 3):
        raise UserError(
            f"dnas predict reads square images of 1 or 3 channels, not {list(found.images.shape)}: use Python."
        )
    squares = [read_square(Path(file), height)[0] for file in files]
    if channels == 1:  # as Pillow makes grey of colours
        squares = [(square @ GREY).round().astype(square.dtype)[..., None] for square in squares]
    for file, row in zip(files, found.predict(np.stack(squares)), strict=True):
        said, answer = _class(found.classes, row)
        yield f"{file}: {said}", {"file": file} | answer


def _sounds(found: "Found", files: tuple[str, ...]) -> Any:
    from dnas.data._sounds import read_file
    from dnas.tasks.audio_classification import cut_note

    task, sounds, remarks = found.task, [], Counter[str]()
    for file in files:
        sound, remarked = read_file(Path(file), task.recordings.sample_rate)
        sounds.append(sound)
        remarks.update(remarked)
    notes = [f"{remark}: {count:,}" for remark, count in sorted(remarks.items())]
    for note in (*notes, cut_note(list(map(len, sounds)), task.length, task.recordings.sample_rate, "given")):
        _note(note)
    for file, row in zip(files, found.predict(sounds), strict=True):
        said, answer = _class(found.classes, row)
        yield f"{file}: {said}", {"file": file} | answer


def _class(classes: tuple[str, ...], row: "np.ndarray") -> tuple[str, dict[str, Any]]:
    """The most probable class, as a line says it, and as JSON does."""
    best = int(row.argmax())
    name, share = classes[best], float(row[best])
    shares = {c: round(float(p), 6) for c, p in zip(classes, row, strict=True)}
    return f"{name} {100 * share:.1f} %", {"class": name, "probability": round(share, 6), "probabilities": shares}


def _rows(found: "Found", files: tuple[str, ...]) -> Any:
    from dnas.data._table_files import read
    from dnas.data.table import values_of

    columns, answers = found.task.table.columns, []
    for file in files:  # all of them first: a mistake in the last is said before the first line
        cells = read(Path(file))
        if missing := [column.name for column in columns if column.name not in cells.columns]:
            raise UserError(f"{file} has no column '{missing[0]}', which the network of {found.folder} reads: add it.")
        values = values_of(cells, columns, Path(file))
        rows = {column.name: array for column, array in zip(columns, values, strict=True)}
        answers += [(file, number, row) for number, row in enumerate(found.predict(rows), 1)]
    for file, number, row in answers:
        if found.classes:
            said, answer = _class(found.classes, row)
        else:
            said, answer = f"{float(row):.6g}", {found.task.table.target: float(row)}
        yield f"{file} row {number}: {said}", {"file": file, "row": number} | answer


def _is_text(given: str) -> bool:
    """Whether it is a text that is read as it is, and no name of a file."""
    return not os.path.exists(given) and not re.fullmatch(r"\S*([/\\]\S*|\.\w+)", given)


def _asked(
    found: "Found", given: tuple[str, ...], tokeniser: "Tokeniser | None" = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """Texts, where each is from, and the same for JSON: what is given is a text, or a file with a text on each line.
    tokeniser: of these texts, by default that of what the network reads."""
    from dnas.data._files import decoded, reading
    from dnas.data._sentences import numbered_lines
    from dnas.paths import content_of
    from dnas.tasks.text_classification import cut_note

    asked: list[tuple[str, str, dict[str, Any]]] = []
    for one in given:
        if _is_text(one):
            asked.append((one, f"'{one}'", {}))
            continue
        with reading(one, "give a file with a text on each line, or a text in quotes"):
            content = content_of(Path(one), MOST_BYTES)
        for number, line in numbered_lines(decoded(content, one, "save it in UTF-8")):
            asked.append((line, f"{one} line {number}", {"file": one, "line": number}))
    texts, places = [text for text, *_ in asked], [place for _, place, _ in asked]
    if empty := [place for text, place, _ in asked if not text.strip()]:
        raise UserError(f"Cannot read {empty[0]}: it has no words, and every line is a text: remove it.")
    if not texts:
        raise UserError(f"Cannot read {given[0]}: it has no words.")
    task, reads = found.task, tokeniser or found.task.tokeniser
    _note(cut_note(reads(texts), places, task.length, task.longer, "given"))
    strange = [(word, place) for text, place, _ in asked for word in reads.strangers(text)]
    _note_of_strangers(strange, "tokens")
    return asked


def _note(note: str) -> None:
    if note:
        print(f"Note: {note}.", file=sys.stderr)


def _note_of_strangers(strange: list[tuple[str, str]], unit: str) -> None:
    """strange: words, or tokens, which a network does not know, and where each is."""
    if strange:
        word, place = strange[0]
        _note(f"the network does not know {len(strange):,} of the {unit} given (the first: {word[:40]!r} of {place})")


def _sentences(found: "Found", given: tuple[str, ...]) -> Any:
    asked = _asked(found, given)
    for (text, place, where), row in zip(asked, found.predict([text for text, *_ in asked]), strict=True):
        said, answer = _class(found.classes, row)
        yield f"{place}: {said}", {**where, "text": text} | answer


def _translations(found: "Found", given: tuple[str, ...], targets: tuple[str, ...] = ()) -> Any:
    """One a line and nothing else, so that they are a file again; or how likely the targets are."""
    asked = _asked(found, given)
    if targets:
        others = _asked(found, targets, found.task.target_tokeniser)
        pairs = found.likelihoods(*([text for text, *_ in texts] for texts in (asked, others)))
        for (text, place, where), (target, *_), one in zip(asked, others, pairs, strict=True):
            said = f"{place}: perplexity {one.perplexity:.6g}, log-likelihood {one.log:.6g} of {one.tokens:,} tokens"
            numbers = {"log_likelihood": one.log, "tokens": one.tokens, "perplexity": one.perplexity}
            yield said, {**where, "text": text, "target": target} | numbers
        return
    for (text, _, where), one in zip(asked, found.translate([text for text, *_ in asked]), strict=True):
        yield one.text, {**where, "text": text, "translation": one.text, "score": round(one.score, 6)}


def _texts(found: "Found", files: tuple[str, ...], more: int = 0) -> Any:
    import numpy as np

    from dnas.data._files import reading
    from dnas.data._texts import numbered, place_of, strangers, words_of
    from dnas.paths import content_of

    texts, text, strange = [], found.task.text, list[tuple[str, str]]()
    vocabulary = text.vocabulary
    for file in files:
        if _is_text(file):
            content = file.encode(errors="replace")
        else:
            with reading(file, "give a file with a text in UTF-8, or a text in quotes"):
                content = content_of(Path(file), MOST_BYTES).removesuffix(b"\n")  # whose end is not that of a line
        texts.append(words_of(content, file, text.characters))
        numbered(texts[-1], vocabulary, file)  # a word without a number is said now, with its file
        others = strangers(texts[-1], vocabulary)
        strange += [(texts[-1][number], place_of(texts[-1], number, file)) for number in others]
    _note_of_strangers(strange, text.unit)
    for file, words in zip(files, texts, strict=True):
        likely = float(found.perplexity([words])[0]) if len(words) > 1 else None
        row = found.predict([words])[0]
        following = {vocabulary[i]: round(float(row[i]), 6) for i in np.argsort(-row, kind="stable")[:NEXT_WORDS]}
        perplexity = "of one word" if likely is None else f"perplexity {likely:.6g}"
        named = repr if text.characters else str  # a blank is to be seen
        said = ", ".join(f"{named(word)} {100 * share:.1f} %" for word, share in following.items())
        known = likely if likely is not None and np.isfinite(likely) else None  # JSON has no infinity
        answer = {"file": file, text.unit: len(words), "perplexity": known, "next": following}
        said = f"{file}: {perplexity}; next: {said}"
        if more:
            (answer["continued"],) = found.continued([words], count=more)
            said = f"{said}\n{answer['continued']}"
        yield said, answer
