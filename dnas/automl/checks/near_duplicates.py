"""Images or texts that are nearly the same, by a small fingerprint: other sizes, other files, other blanks."""

import re
from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import groups, of_all
from dnas.automl.checks.protocol import TEST, Evidence, Finding, Images, Severity, Texts

SHOWN = 4  # pairs
MANY = 0.005  # of the test part
BANDS, NEXT = 4, 8  # pieces of a fingerprint, of which one must agree; images with it that are compared
CHUNK = 4096  # pairs compared at once
CLOSE = 4.0  # mean difference of 16x16 grey pixels of 255 between images that are one
DETAIL = 20.0  # standard deviation of pixels, below which images are too plain to say


def check(data: Evidence) -> Iterator[Finding]:
    match data.content:
        case Images() as images:
            pairs = _close(images.small, _fingerprints(images.small))
        case Texts() as texts:
            pairs = _alike(np.array([hash(_plain(text)) for text in texts.texts]))
        case _:
            return
    pairs = [(i, j) for i, j in pairs if data.digests[i] != data.digests[j]]
    if not pairs:
        return
    tested = data.parts == TEST
    between = [(i, j) for i, j in pairs if tested[i] != tested[j]]
    count, across = len({j for _, j in pairs}), len({i if tested[i] else j for i, j in between})
    first = (between or pairs)[0]
    also = f", {across:,} of the test part as one to learn from" if between else ""
    sentence = (
        f"{of_all(data, count)} nearly the same as another one{also}, "
        f"as {data.places[first[0]]} and {data.places[first[1]]}."
    )
    examples = tuple(i for pair in (between or pairs)[:SHOWN] for i in pair)
    severity: Severity = "warning" if across > MANY * tested.sum() else "note"
    where = "train and test" if between else "all parts"
    yield Finding("near_duplicates", severity, where, sentence, examples=examples)


def _alike(keys: np.ndarray) -> list[tuple[int, int]]:
    """The first place of every key that is there more than once, with each of the others."""
    return [(int(group[0]), int(i)) for group in groups(keys) for i in group[1:]]


def _fingerprints(small: np.ndarray) -> np.ndarray:
    """uint8 [N, 16, 16] -> int [N, 4]: where pixels of 8x8 are lighter than those left of them ("dHash"), in bands."""
    eighth = small.reshape(-1, 8, 2, 8, 2).mean((2, 4))
    bits = (np.diff(eighth, axis=2) > 0).reshape(len(small), BANDS, -1)
    return bits @ (1 << np.arange(bits.shape[-1]))


def _close(small: np.ndarray, fingerprints: np.ndarray) -> list[tuple[int, int]]:
    """Pairs that agree in a band of their fingerprints and hardly differ in their pixels."""
    detailed = np.flatnonzero(small.std((1, 2)) > DETAIL)
    found = set[tuple[int, int]]()
    for band in range(BANDS):
        bands = fingerprints[detailed]
        order = np.lexsort([*bands.T, bands[:, band]])  # by this band, and within it by all of them
        for step in range(1, NEXT + 1):
            first, second = order[:-step], order[step:]
            same = bands[first, band] == bands[second, band]
            pairs = np.stack([detailed[first[same]], detailed[second[same]]], 1)
            found |= {(int(min(pair)), int(max(pair))) for pair in pairs[_differences(small, pairs) < CLOSE]}
    return sorted(found)


def _differences(small: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """float [P]: mean differences of pixels; pairs: int [P, 2]."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), CHUNK):
        one, other = (small[pairs[start : start + CHUNK, side]].astype(np.int16) for side in (0, 1))
        found[start : start + CHUNK] = np.abs(one - other).mean((1, 2))
    return found


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
