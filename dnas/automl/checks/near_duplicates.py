"""Images or texts that are nearly the same, by a small fingerprint: other sizes, other files, other blanks."""

import re
from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import groups, share
from dnas.automl.checks.protocol import TEST, Evidence, Finding, Images, Severity, Texts

SHOWN = 4  # pairs
MANY = 0.005  # of the test part
CLOSE = 4.0  # mean difference of 16x16 grey pixels of 255 between images that are one
DETAIL = 20.0  # standard deviation of pixels, below which images are too plain to say


def check(data: Evidence) -> Iterator[Finding]:
    match data.content:
        case Images() as images:
            pairs = [(i, j) for i, j in _alike(_fingerprints(images.small)) if _close(images.small, i, j)]
        case Texts() as texts:
            pairs = _alike(np.array([hash(_plain(text)) for text in texts.texts]))
        case _:
            return
    pairs = [(i, j) for i, j in pairs if data.digests[i] != data.digests[j]]
    if not pairs:
        return
    between = [pair for pair in pairs if len({data.parts[i] == TEST for i in pair}) == 2]
    across = f", {len(between):,} of them in train and test" if between else ""
    first = (between or pairs)[0]
    sentence = (
        f"{len(pairs):,} of {len(data):,} {data.what} ({share(len(pairs), len(data))}) are nearly the same as another "
        f"one{across}, as {data.places[first[0]]} and {data.places[first[1]]}."
    )
    examples = tuple(i for pair in (between or pairs)[:SHOWN] for i in pair)
    many = len(between) > MANY * (data.parts == TEST).sum()
    severity: Severity = "warning" if many else "note"
    yield Finding(
        "near_duplicates", severity, "train and test" if between else "all parts", sentence, examples=examples
    )


def _alike(keys: np.ndarray) -> list[tuple[int, int]]:
    """The first place of every key that is there more than once, with each of the others."""
    return [(int(group[0]), int(i)) for group in groups(keys) for i in group[1:]]


def _fingerprints(small: np.ndarray) -> np.ndarray:
    """uint8 [N, 16, 16] -> uint64 [N]: where pixels of 8x8 are lighter than their left neighbour; "dHash"."""
    eighth = small.reshape(-1, 8, 2, 8, 2).mean((2, 4))
    bits = (np.diff(eighth, axis=2) > 0).reshape(len(small), 56)
    return np.packbits(np.pad(bits, ((0, 0), (0, 8))), axis=1).view(np.uint64).reshape(-1)


def _close(small: np.ndarray, i: int, j: int) -> bool:
    one, other = small[i].astype(float), small[j].astype(float)
    return bool(one.std() > DETAIL and np.abs(one - other).mean() < CLOSE)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
