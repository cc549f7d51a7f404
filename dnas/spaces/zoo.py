"""Published cells by name: `DARTS_V2`, `PC_DARTS_cifar`, `SDARTS_c10_s1_random`, `DARTS_V2_rnn`, ...

They stand in zoo.json in the text forms of `genotype.py`. `SDARTS_<data set>_<space>_<method>` are those of
SmoothDARTS (Chen and Hsieh 2020, arXiv:2002.05283) for the spaces S1-S5; `_rnn` marks recurrent cells.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from dnas.errors import unknown
from dnas.spaces import genotype


@dataclass(frozen=True)
class Entry:
    """A published cell.

    source: where it was published, `owner+repository:file:variable`.
    parameters, multiply_adds: of its CIFAR-10 network with 36 channels and 20 cells, without auxiliary head;
    None if not known exactly.
    """

    name: str
    genotype: genotype.Genotype
    source: str
    parameters: int | None
    multiply_adds: int | None


def names() -> list[str]:
    """The names of all published cells, in the order of their publication's repository."""
    return list(_records())


def entry(name: str) -> Entry:
    """The published cell of a name, in upper or lower case. Errors: `UserError` with the nearest names."""
    by_lower = {known.lower(): known for known in _records()}
    if name.lower() not in by_lower:
        raise unknown("published cell", name, by_lower)
    name = by_lower[name.lower()]
    record = _records()[name]
    return Entry(**{**record, "name": name, "genotype": genotype.parse(record["genotype"])})


@cache
def _records() -> dict[str, dict]:
    return json.loads(files("dnas.spaces").joinpath("zoo.json").read_text(encoding="utf-8"))
