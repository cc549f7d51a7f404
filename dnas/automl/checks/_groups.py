"""Examples that are alike."""

from collections.abc import Iterable

import numpy as np

from dnas.automl.checks.protocol import Evidence


def groups(keys: np.ndarray) -> list[np.ndarray]:
    """Places of keys that are there more than once, a group for each, the first places first."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
    found = [group for group in np.split(order, starts[1:]) if len(group) > 1]
    return sorted(found, key=lambda group: int(group[0]))


def listed(names: Iterable[object], most: int = 3) -> str:
    """'a', 'b', 'c' and 7 more, each shortened."""
    quoted = [f"'{short(str(name))}'" for name in names]
    if len(quoted) > most:
        return f"{', '.join(quoted[:most])} and {len(quoted) - most:,} more"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def counted(count: int, one: str, many: str = "") -> str:
    """1 row, 2 rows; 1 class has, 2 classes have."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def of_all(data: Evidence, count: int, one: str = "is", many: str = "are") -> str:
    """1 of 83 images (1.2 %) is, 2 of 83 images (2.4 %) are."""
    total = len(data)
    return f"{count:,} of {total:,} {data.what} ({share(count, total)}) {one if count == 1 else many}"


def short(text: str, most: int = 40) -> str:
    """The begin of a text that is long."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent, as one says it: never 0 or 100 where it is not."""
    percent = 100 * part / whole
    if 0 < percent < 0.1 or 99.9 < percent < 100:
        return "under 0.1 %" if percent < 1 else "over 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"
