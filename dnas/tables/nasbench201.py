"""NAS-Bench-201: 15,625 cells, trained on CIFAR-10, CIFAR-100 and ImageNet16-120; accuracies, sizes, seconds.

Dong and Yang, ICLR 2020, arXiv:2001.00326. Accuracies after 200 epochs on test images are means over seeds, those after
12 epochs (a schedule of its own, not a part of the long one) of one seed. CIFAR-10's validation accuracies are of
networks trained on the 25,000 other training images, means over two seeds, its test accuracies of networks trained on
all 50,000.

There are no validation accuracies after 200 epochs: what NASLib and whoever uses its file take for these are test
accuracies of one training, `single`, since its code reads the last of one list for both. In all three records that can
be looked at they are those of seed 888, on CIFAR-10 of the network trained on 25,000 images, to the last digit
(`tests/tables/test_nats.py`). On the other two data sets this training is one of the three of which `test` is the mean.
A search by them has seen test images.

Seconds are a model, since the measured ones fill gigabytes: a sum over the operations of a cell, fitted to 1,000 cells
of the official files (R2 0.995; `scripts/nasbench201_table.py`), scaled by numbers of images as the official API does.
The numbers lie in nasbench201.npz, made by that script; whose they are says nasbench201.LICENSE.txt.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas import find
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import NetworkSize, all_edges
from dnas.data._archives import read_npz
from dnas.data._files import reading
from dnas.tables.protocol import Table, at, place

FILE = Path(__file__).with_name("nasbench201.npz")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # in the order of the space
EDGES = 6
OPTIONS = (len(OPERATIONS),) * EDGES
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}
EPOCHS = (12, 200)
CLASSES = "classes"
STORED = [CLASSES] + [
    f"{name}_{what}"
    for name in DATASETS
    for what in ("test_12", "test_200", "valid_12", "single_200", "parameters", "mflops")
]
WHOLE = 10_000  # percents and MFLOPs are stored as ten-thousandths

# Per edge with this operation, in seconds: of 12 epochs on 50,000 images of CIFAR-10, of 12 passes over 10,000.
TRAINING_SECONDS = dict(zip(OPERATIONS, (14.36, 9.74, 55.81, 68.77, 33.98), strict=True))
TEST_SECONDS = dict(zip(OPERATIONS, (1.69, 1.39, 2.86, 4.23, 2.52), strict=True))
TRAINING_IMAGES = {"cifar10": 25_000, "cifar100": 50_000, "imagenet16": 151_700}
VALIDATION_IMAGES = {"cifar10": 25_000, "cifar100": 5_000, "imagenet16": 3_000}
NETWORKS = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16": (120, 16)}  # classes, pixels of a side
CELLS, CHANNELS = 5, 16  # of a stage, and of the first one


class Row(NamedTuple):
    """Test accuracies after 200 epochs in percent, and parameters on CIFAR-10."""

    cifar10: float
    cifar100: float
    imagenet16: float
    parameters: int


def table() -> Table:
    """All of it. Errors: `UserError` if its file is damaged."""
    return _read(FILE)


def index(architecture: np.ndarray) -> int:
    """The place of one cell, int32 [6]; the benchmark's own numbers are shuffled (`zoo.nasbench201_index`)."""
    return int(place(architecture, OPTIONS))


def place_of(genotype: Genotype) -> int | None:
    """The place of a cell; None for a cell of another space."""
    edges = [edge for _, cell in genotype.cells for edge in cell.edges]
    operations = [edge.operation for edge in edges]
    if genotype.space != "nasbench201" or tuple(edge[:2] for edge in edges) != all_edges(1, 3):
        return None
    return index(np.array(list(map(OPERATIONS.index, operations)))) if set(operations) <= set(OPERATIONS) else None


def nasbench201(genotype: Genotype) -> Row | None:
    """What NAS-Bench-201 says of a cell; None for a cell of another space."""
    if (at_place := place_of(genotype)) is None:
        return None
    columns = table().columns
    ten, hundred, imagenet = (float(columns[f"{name}_test_200"][at_place]) for name in DATASETS)
    return Row(ten, hundred, imagenet, int(columns["cifar10_parameters"][at_place]))


@cache
def _read(path: Path) -> Table:
    remedy = "install dnas again"
    stored, _ = read_npz(path, STORED, remedy=remedy)
    with reading(path, remedy):
        for name, values in stored.items():
            if values.shape != (5**EDGES,) or values.dtype.kind not in "iu":
                raise ValueError(f"the column '{name}' is not of {5**EDGES:,} whole numbers")
    classes = stored.pop(CLASSES)
    columns = {name: values / (1 if name.endswith("parameters") else WHOLE) for name, values in stored.items()}
    return Table(
        name="nasbench201",
        title="NAS-Bench-201",
        space=find.resolve("space", "nasbench201"),
        datasets=DATASETS,
        epochs=EPOCHS,
        columns=columns | _seconds(),
        options=OPTIONS,
        classes=classes,
        images={name: (TRAINING_IMAGES[name], VALIDATION_IMAGES[name]) for name in DATASETS},
        networks={name: (NetworkSize(CELLS, CHANNELS, classes), side) for name, (classes, side) in NETWORKS.items()},
    )


def _seconds() -> dict[str, np.ndarray]:
    """What a query takes, by data set and epochs: all epochs up to it and one validation pass."""
    cells = at(np.arange(5**EDGES), OPTIONS)
    training, test = (np.array([*terms.values()])[cells].sum(-1) for terms in (TRAINING_SECONDS, TEST_SECONDS))
    found: dict[str, np.ndarray] = {}
    for name in DATASETS:
        epoch = training / 12 * TRAINING_IMAGES[name] / 50_000
        validation = test / 12 * VALIDATION_IMAGES[name] / 10_000
        found |= {f"{name}_seconds_{epochs}": epochs * epoch + validation for epochs in EPOCHS}
    return found
