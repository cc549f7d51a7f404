"""Texts without a word."""

import re
from collections.abc import Iterator

from dnas.automl.checks._groups import share
from dnas.automl.checks.protocol import Evidence, Finding, Texts


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Texts):
        return
    empty = [i for i, text in enumerate(data.content.texts) if not re.search(r"\w", text)]
    if empty:
        sentence = (
            f"{len(empty):,} of {len(data):,} texts ({share(len(empty), len(data))}) have no word, only signs, as "
            f"{data.places[empty[0]]}."
        )
        yield Finding("empty_texts", "warning", data.places[empty[0]], sentence, examples=tuple(empty[:4]))
