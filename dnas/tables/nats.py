"""Records of NATS-Bench: all that was measured while one cell of NAS-Bench-201 was trained, epoch by epoch.

Dong et al. 2021, arXiv:2009.00437; the topology files of D-X-Y/NATS-Bench. A folder of theirs has one record a cell,
`NUMBER.pickle.pbz2` by the benchmark's number of the cell (`zoo.nasbench201_index`), beside `meta.pickle.pbz2`, which
lists the texts of all cells in that order and is not needed. A record holds two schedules, of 12 and of 200 epochs (the
short one is no part of the long one), and of each the trainings on four data sets by seed. Nothing of a record is run:
see `dnas.data._pickles`.

Images: `cifar10-valid` trains on 25,000 and validates on the 25,000 others; `cifar10` trains on all 50,000 and has no
validation; the validation images of `cifar100` and `ImageNet16-120` are half of the original test images, of which the
other half is `test`, and all of them are `valid+test`. Axis letter: E epochs.
"""

import bz2
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures import zoo
from dnas.architectures.genotype import Genotype, to_text
from dnas.architectures.genotype_data import shown
from dnas.architectures.genotype_text import from_texts
from dnas.data._files import reading
from dnas.data._pickles import Format, load
from dnas.errors import UserError, unknown
from dnas.paths import content_of

EXTENSION = ".pickle.pbz2"
MOST_BYTES, MOST_INFLATED = 20_000_000, 60_000_000  # a record has 0.1 MB, and 0.3 MB inflated
MOST_EPOCHS, MOST_TRAININGS = 1000, 100
DATASETS = {
    "cifar10-valid": "CIFAR-10, half",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "ImageNet16-120": "ImageNet16-120",
}
PARTS = {"x-valid": "valid", "x-test": "test", "ori-test": "test"}
WHOLE = {"cifar100": "valid+test", "ImageNet16-120": "valid+test"}  # what their original test images are
SHOWN = ("train", "valid", "test")
REMEDY = "give a record of NATS-Bench without weights, as its 'simple' archive has them"


class Training(NamedTuple):
    """One training. seed, epochs: as they were chosen. parameters, mflops: of its network.

    accuracy: by part (train, valid, test, valid+test) in percent after each epoch, float64 [E]; NaN where it was not
    measured. seconds: by part, of each epoch or pass, float64 [E].
    """

    seed: int
    epochs: int
    parameters: int
    mflops: float
    accuracy: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]


class Record(NamedTuple):
    """number: of the cell in the benchmark. found: its trainings by data set and number of epochs, by seed."""

    number: int
    genotype: Genotype
    found: dict[tuple[str, int], tuple[Training, ...]]

    def trainings(self, data: str, epochs: int) -> tuple[Training, ...]:
        """Those on a data set for so many epochs, in the order of their seeds.

        Errors: `UserError` for a data set or a number of epochs that the record lacks.
        """
        if data not in {name for name, _ in self.found}:
            raise unknown(f"data set of the record of cell {self.number}:", data, {name for name, _ in self.found})
        if (data, epochs) not in self.found:
            known = " and ".join(str(n) for name, n in self.found if name == data)
            raise UserError(
                f"The record of cell {self.number} has trainings on {data} for {known} epochs, not for {epochs}."
            )
        return self.found[data, epochs]


def is_record(source: str) -> bool:
    """Whether a text is the path of a record, by its name."""
    return source.strip().endswith(EXTENSION)


def read(path: str | Path) -> Record:
    """The record in a file. Errors: `UserError` for a missing, damaged or hostile one."""
    path = Path(path)
    with reading(path, REMEDY):
        unpacked = bz2.BZ2Decompressor()
        content = unpacked.decompress(content_of(path, MOST_BYTES), MOST_INFLATED)
        if not unpacked.eof:
            raise ValueError(f"it ends early, or inflates to more than {MOST_INFLATED:,} bytes")
        return _record(load(content, path, FORMAT))


def record_of(folder: str | Path, genotype: Genotype) -> Record:
    """The record of a cell in a folder of records.

    Errors: `UserError` for a cell that is none of the benchmark, and where the folder has no record of it.
    """
    number = zoo.nasbench201_index(genotype)
    if number is None:
        raise UserError(f"{shown(to_text(genotype))} is no cell of NAS-Bench-201, of which {folder} has records.")
    path = Path(folder) / f"{number:06d}{EXTENSION}"
    short = path.with_name(f"{number}{EXTENSION}")
    record = read(short if short.exists() and not path.exists() else path)
    if record.number != number:
        raise UserError(f"{path} should be the record of cell {number}, and is that of {record.number}: {REMEDY}.")
    return record


def described(record: Record) -> dict[str, Any]:
    """All of it, ready for JSON; what was not measured is None."""
    return {
        "cell": to_text(record.genotype),
        "number": record.number,
        "trainings": [
            {
                "data": data,
                **training._asdict(),
                "accuracy": {part: _listed(values) for part, values in training.accuracy.items()},
                "seconds": {part: _listed(values) for part, values in training.seconds.items()},
            }
            for (data, _), trainings in record.found.items()
            for training in trainings
        ],
    }


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _is_key(key: Any) -> bool:
    return isinstance(key, (str, int)) or isinstance(key, tuple) and all(isinstance(part, (str, int)) for part in key)


FORMAT = Format("record", REMEDY, types="[iuf][48]", is_key=_is_key, key="text, number or pair", ordered=True)


def _record(found: Any) -> Record:
    """Of what was unpickled: every part is looked at before it is used. Errors: `ValueError`."""
    by_data: dict[tuple[str, int], list[Training]] = {}
    cells = set()
    for schedule in _items(found, "its schedules").values():
        cells.add((_field(schedule, "arch_index", int), _field(schedule, "arch_str", str)[:1000]))
        results = _items(_field(schedule, "all_results", dict), "its trainings")
        for key, training in results.items():
            match key:
                case (str(data), int(seed)) if data in DATASETS:
                    known = _training(data, seed, training)
                    by_data.setdefault((data, known.epochs), []).append(known)
                case _:
                    raise ValueError(f"a training is of {shown(key)}, which is no data set and seed of NATS-Bench")
    if len(cells) != 1:
        raise ValueError("its schedules are of different cells")
    ((number, text),), parsed = cells, list[Genotype]()
    with suppress(UserError):  # said below
        parsed = from_texts(text)
    if len(parsed) != 1 or zoo.nasbench201_index(parsed[0]) != number:
        raise ValueError(f"{shown(text)} is not the cell {number} of NAS-Bench-201")
    ordered = sorted(by_data, key=lambda key: ([*DATASETS].index(key[0]), key[1]))
    return Record(number, parsed[0], {key: tuple(sorted(by_data[key], key=lambda one: one.seed)) for key in ordered})


def _training(data: str, seed: int, found: Any) -> Training:
    epochs = _field(found, "epochs", int)
    if not 1 <= epochs <= MOST_EPOCHS:
        raise ValueError(f"a training takes {epochs:,} epochs")
    parts = PARTS | ({"ori-test": WHOLE[data]} if data in WHOLE else {})
    accuracy = {"train": _curve(_field(found, "train_acc1es", dict), epochs, "", 100)}
    seconds = {"train": _curve(_field(found, "train_times", dict), epochs, "", math.inf)}
    measured, times = _field(found, "eval_acc1es", dict), _field(found, "eval_times", dict)
    for name, part in parts.items():
        if any(isinstance(key, str) and key.startswith(f"{name}@") for key in measured):
            accuracy[part] = _curve(measured, epochs, f"{name}@", 100)
            seconds[part] = _curve(times, epochs, f"{name}@", math.inf)
    parameters, mflops = (float(_field(found, name, (int, float))) for name in ("params", "flop"))
    if not (0 < parameters < 1e6 and 0 <= mflops < 1e9):
        raise ValueError(f"a network has {parameters} M parameters and {mflops} MFLOPs")
    return Training(seed, epochs, round(parameters * 1e6), mflops, accuracy, seconds)


def _curve(found: dict, epochs: int, prefix: str, most: float) -> np.ndarray:
    """float64 [E] of {epoch from 0, or its text after the prefix: value}."""
    values = np.full(epochs, np.nan)
    for epoch in range(epochs):
        value = found.get(f"{prefix}{epoch}" if prefix else epoch)
        if value is not None:
            if not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise ValueError(f"a measure after epoch {epoch + 1} is {shown(value)}")
            values[epoch] = value
    return values


def _items(found: Any, what: str) -> dict:
    if not isinstance(found, dict) or not 1 <= len(found) <= MOST_TRAININGS:
        raise ValueError(f"{what} are no dictionary")
    return found


def _field(found: Any, name: str, kind: Any) -> Any:
    if not isinstance(found, dict) or not isinstance(found.get(name), kind):
        raise ValueError(f"it has no '{name}', or one of another kind")
    return found[name]
