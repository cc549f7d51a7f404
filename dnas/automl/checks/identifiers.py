"""Columns that only say which row is which: as a feature they can be learnt by heart, as a target not at all."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._columns import FEWEST, are_dates, are_sentences, identifies, present
from dnas.automl.checks._groups import short
from dnas.automl.checks.protocol import Columns, Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    content = data.content
    if not isinstance(content, Columns):
        return
    target = np.array(content.target_texts, object) if data.classes else data.y
    if len(target) >= FEWEST and identifies(target):
        sentence = (
            f"The target '{content.target}' is another in every row, as an identifier is, "
            f"'{short(str(target[0]))}' say: choose a column that other rows have something to say about."
        )
        yield Finding("identifiers", "fatal", content.target, sentence)
    for name, values in content.items():
        if not identifies(values):
            continue
        first = values[0] if values.dtype == object else f"{values[0]:g}"
        texts = values.dtype == object and are_sentences(present(values).tolist())
        if texts:
            sentence = f"The column '{name}' has sentences, which a table does not read, '{short(first)}' say."
            yield Finding("identifiers", "warning", name, sentence, "left out", (name,))
        elif values.dtype == float or not are_dates(present(values).tolist()):
            sentence = f"The column '{name}' is another in every row, as an identifier is, '{short(first)}' say."
            yield Finding("identifiers", "note", name, sentence, "left out", (name,))
