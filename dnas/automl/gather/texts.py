"""Texts with a class each as checks see them."""

from dataclasses import replace

import numpy as np

from dnas.automl.checks.protocol import Evidence, Texts
from dnas.automl.gather._files import digests
from dnas.data._files import users_path
from dnas.data._sentences import PARTS, Sentences, of_rows
from dnas.data.text_table import name_of, rows_in


def of_files(
    path: str, text: str = "text", label: str = "label", test: str = "", valid: str = "", limit: int = 0, seed: int = 0
) -> Evidence:
    """The evidence of a table of texts or a folder of them, with the settings of `text_table`. Rows without a text or a
    label are told apart."""
    source = users_path(path)
    rows, empty = rows_in(source, text, label, test, valid)
    damaged = tuple((row.place, "no label" if row.text else "no text") for row in empty)
    return replace(of_sentences(of_rows(name_of(source), rows, limit=limit, seed=seed)), damaged=damaged)


def of_sentences(data: Sentences) -> Evidence:
    """The evidence of a data set of texts; its parts are in the order of `PARTS`."""
    parts = [getattr(data, part) for part in PARTS]
    texts = [text for part in parts for text in part.texts]
    lengths = [len(text.split()) for text in texts]
    return Evidence(
        name=data.name,
        task=data.task,
        what="texts",
        parts=np.repeat(np.arange(len(parts)), [len(part.texts) for part in parts]),
        y=np.concatenate([part.y for part in parts]).astype(float),
        classes=data.classes,
        digests=digests([text.encode(errors="surrogatepass") for text in texts]),
        places=[place for part in parts for place in part.places],
        content=Texts(texts),
        sizes={"words": int(np.median(lengths)), "longest": max(lengths)},
        notes=(data.note,),
    )
