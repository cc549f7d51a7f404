"""NAS-Bench-Macro: 6,561 networks of 8 layers with 3 candidates each, trained on CIFAR-10; three trainings of each.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021, arXiv:2103.11922; the file is
that of xiusu/NAS-Bench-Macro (Apache-2.0), whose networks are written with a digit for each layer: 0 the identity, 1 a
MobileNetV2 block with kernel 3 and expansion 3, 2 one with kernel 5 and expansion 6. Stages have 2, 3 and 3 layers; the
first of a stage halves the image, and as an identity is a 1x1 convolution. Identities behind it may stand anywhere in
their stage: 3,969 networks are distinct, and only these were trained.

Trainings took 50 epochs, and the file has the best test accuracy that any epoch of one had. There are no validation
accuracies: a search on this table sees the test accuracy of the first training, and is judged by the mean of all three,
of which that is one. Nobody says how long trainings took.
"""

import io
import json
import re
from functools import partial
from typing import Any, NoReturn

import numpy as np

from dnas.architectures.genotype_data import Genotype, of_decisions
from dnas.architectures.topology import Cell, Norm, Space
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import Location, of_project, reading
from dnas.errors import UserError
from dnas.tables.protocol import Table, at, place

FILE = "nasbench_macro.tar.xz"
MEMBER = "nasbench_macro/nas-bench-macro_cifar10.json"
MOST_BYTES = 20_000_000  # the member has 1.2 MB
STAGES, TRAININGS = (2, 3, 3), 3
LAYERS = sum(STAGES)
CANDIDATES = ("identity", "mb3_k3", "mb6_k5")  # by digit
OPTIONS = (len(CANDIDATES),) * LAYERS
REMEDY = f"get {FILE} again"


def table() -> Table:
    """All of it. Errors: `UserError` if its file is not there, or damaged."""
    path = locate().require("nasbench_macro", FILE, "table")
    with reading(path, REMEDY):
        found = read_tar(io.BytesIO(inflated_xz(path, MOST_BYTES)), [MEMBER], MOST_BYTES)
        if MEMBER not in found:
            raise ValueError(f"it has no member '{MEMBER}'")
        columns = _columns(json.loads(found[MEMBER]))
    return Table(
        name="nasbench_macro",
        title="NAS-Bench-Macro",
        space=space(),
        datasets={"cifar10": "CIFAR-10"},
        epochs=(50,),
        columns=columns,
        options=OPTIONS,
        classes=_classes(),
        notation=of_digits,
    )


def locate() -> Location:
    return of_project(FILE, "benchmarks")


def space() -> Space:
    """Its decisions, one a layer. There are no networks of it here: it can be searched by the table alone."""
    edges = tuple((layer + 1, layer) for layer in range(LAYERS))
    layer = Cell(inputs=1, nodes=LAYERS, edges=edges, operations=(CANDIDATES,) * LAYERS)
    return Space(
        name="nasbench_macro",
        cells={"block": layer},
        operations=dict.fromkeys(CANDIDATES, _not_built),
        backbone=_not_built,
        search_norm=Norm(affine=False, pools=False),
        network_norm=Norm(affine=True, pools=False),
        sizes=(),
    )


def of_digits(text: str) -> Genotype | None:
    """The network that its authors write so, `22212220`."""
    if not re.fullmatch(rf"[0-2]{{{LAYERS}}}", text.strip(), re.ASCII):
        return None
    return of_decisions("nasbench_macro", [{"block": CANDIDATES[int(digit)]} for digit in text.strip()])


def _classes() -> np.ndarray:
    """[N], the place of the network that is the same and has its identities at the ends of its stages."""
    moved, first = at(np.arange(np.prod(OPTIONS)), OPTIONS), 0
    for layers in STAGES:
        behind = moved[:, first + 1 : first + layers]
        order = np.argsort(behind == 0, axis=1, kind="stable")
        moved[:, first + 1 : first + layers] = np.take_along_axis(behind, order, 1)
        first += layers
    return place(moved, OPTIONS)


def _columns(found: Any) -> dict[str, np.ndarray]:
    names = ["".join(map(str, row)) for row in at(np.arange(np.prod(OPTIONS)), OPTIONS).tolist()]
    if not isinstance(found, dict) or found.keys() != {*names}:
        raise ValueError(f"it does not list all {len(names):,} networks of {LAYERS} layers")
    accuracies = np.array([_numbers(found[name], "test_acc", TRAININGS, 100) for name in names])
    column = partial(np.array, dtype=np.float64)
    return {
        "cifar10_test_50": accuracies.mean(1),
        "cifar10_single_50": accuracies[:, 0],
        "cifar10_deviation_50": accuracies.std(1),
        "cifar10_parameters": column([_numbers(found[name], "params", 1, 1e9)[0] for name in names]),
        "cifar10_mflops": column([_numbers(found[name], "flops", 1, 1e12)[0] for name in names]) / 1e6,
    }


def _numbers(row: Any, name: str, count: int, most: float) -> list[float]:
    value = row.get(name) if isinstance(row, dict) else None
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) != count or not all(isinstance(v, (int, float)) and 0 <= v <= most for v in values):
        raise ValueError(f"a network has no '{name}' of {count} numbers from 0 to {most:g}")
    return values


def _not_built(*_: Any, **__: Any) -> NoReturn:
    raise UserError("There are no networks of the space 'nasbench_macro' here: search it by its table, dnas blackbox.")
