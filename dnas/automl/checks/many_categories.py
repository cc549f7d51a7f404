"""Columns with many categories, most of which are rare, and targets with many classes."""

from collections import Counter
from collections.abc import Iterator

from dnas.automl.checks._columns import are_dates, are_mixed, are_sentences, are_written_numbers, identifies, present
from dnas.automl.checks._groups import share, short
from dnas.automl.checks.protocol import Columns, Evidence, Finding
from dnas.data._features import MOST_CATEGORIES

LITTLE = 0.5  # of the rows: of columns whose frequent categories have fewer, nothing would be left
MANY_CLASSES = 100


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("category"):
        texts = present(values).tolist()
        if identifies(values) or any(are(texts) for are in (are_dates, are_mixed, are_written_numbers)):
            continue
        counts = Counter(texts)
        frequent = sum(count for _, count in counts.most_common(MOST_CATEGORIES - 1))
        if len(counts) <= MOST_CATEGORIES:
            continue
        if are_sentences(texts):
            sentence = f"The column '{name}' has sentences, which a table does not read, '{short(texts[0])}' say."
            yield Finding("many_categories", "warning", name, sentence, "left out", (name,))
            continue
        sentence = (
            f"The column '{name}' has {len(counts):,} categories, of which the {MOST_CATEGORIES - 1} most frequent "
            f"have {share(frequent, len(texts))} of the rows."
        )
        if frequent < LITTLE * len(texts):
            yield Finding("many_categories", "warning", name, sentence, "left out", (name,))
        else:
            yield Finding("many_categories", "note", name, sentence, "the others count as one category")
    if len(data.classes) > MANY_CLASSES:
        sentence = f"The target '{data.content.target}' has {len(data.classes):,} classes, which are many for a table."
        yield Finding("many_categories", "warning", data.content.target, sentence)
