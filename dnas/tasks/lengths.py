"""Lengths that batches of texts are cut to, so that less of them is padding: what tasks of texts share.

All texts lie filled up to one length. A batch whose texts are shorter is computed at the least of a few lengths that
holds them, its bucket; programs know no other. What no network looks at changes no result, so cutting it off changes
none; texts of like length only have to stand side by side, see `training/buckets.py`.
"""

from typing import Annotated

import numpy as np

from dnas.ranges import Range

Buckets = Annotated[int, Range(1, 16)]


def bucket_lengths(longest: int, count: int) -> tuple[int, ...]:
    """`count` lengths in equal steps up to the longest, fewer where there are not as many."""
    return tuple(dict.fromkeys(-(-longest * number // count) for number in range(1, count + 1)))


def sorted_rows(lengths: np.ndarray, rows: np.ndarray, buckets: tuple[int, ...]) -> np.ndarray:
    """Rows of evaluation, numbers of examples by their place [N, B], such that short ones stand side by side; as they
    are where nothing is cut. lengths: of the examples."""
    return rows if len(buckets) < 2 else np.argsort(lengths, kind="stable")[rows]
