"""Texts that were damaged by a wrong encoding, or that are not in the letters of the others."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from dnas.automl.checks._groups import of_all, short
from dnas.automl.checks.protocol import Evidence, Finding, Texts

BROKEN = re.compile("\N{REPLACEMENT CHARACTER}|\u00c3[\u0080-\u00bf]|\u00c2[\u0080-\u00bf]|\u00e2\u20ac")  # é as Ã©
LOOKED_AT = 200  # letters of a text


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Texts):
        return
    broken = [i for i, text in enumerate(data.content.texts) if BROKEN.search(text)]
    if broken:
        sentence = (
            f"{of_all(data, len(broken), 'has', 'have')} letters that a wrong encoding left, as "
            f"{data.places[broken[0]]}, '{short(_around(data.content.texts[broken[0]]))}': write the file again, in "
            "UTF-8."
        )
        yield Finding("encodings", "warning", data.places[broken[0]], sentence, examples=tuple(broken[:4]))
    scripts = [_script(text) for text in data.content.texts]
    counts = Counter(script for script in scripts if script)
    if len(counts) > 1:
        (most, _), *others = counts.most_common()
        first = next(i for i, script in enumerate(scripts) if script == others[0][0])
        found = ", ".join(f"{count:,} in {script}" for script, count in others[:3])
        sentence = f"Most texts are in {most} letters, but {found}, as {data.places[first]}: other languages perhaps."
        yield Finding("encodings", "note", data.places[first], sentence, examples=(first,))


def _around(text: str) -> str:
    match = BROKEN.search(text)
    return text[max(0, match.start() - 15) : match.end() + 15] if match else text


def _script(text: str) -> str:
    """The script of most of its letters by their names, as "Latin"; empty without letters."""
    letters = [letter for letter in text[:LOOKED_AT] if letter.isalpha()]
    if all(letter.isascii() for letter in letters):
        return "Latin" if letters else ""
    names = Counter(unicodedata.name(letter, "?").partition(" ")[0].capitalize() for letter in letters)
    return names.most_common(1)[0][0]
