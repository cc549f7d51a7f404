"""Texts without a word."""

import re
from collections.abc import Iterator

from dnas.automl.checks._groups import of_all
from dnas.automl.checks.protocol import Evidence, Finding, Texts


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Texts):
        return
    empty = [i for i, text in enumerate(data.content.texts) if not re.search(r"\w", text)]
    if empty:
        sentence = f"{of_all(data, len(empty), 'has', 'have')} no word, only signs, as {data.places[empty[0]]}."
        yield Finding("empty_texts", "warning", data.places[empty[0]], sentence, examples=tuple(empty[:4]))
