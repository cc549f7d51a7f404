"""Latencies that others have measured: those of HELP and HAT, and two tables per operation of FBNet.

- HELP (Lee et al. 2021, arXiv:2106.08630, MIT): all cells of NAS-Bench-201 and 5,000 networks of FBNet on 27 devices,
  5,000 networks of once-for-all on 12 (GPUs). A number behind a name is the batch.
- Per operation of FBNet: `cpu` by AnnaAraslanova/FBNet (no licence; noisy), `raspi4_32` by jh88/fbnet (MIT; images of
  32x32, no `skip` where a layer halves or widens).
- HAT (Wang et al. 2020, arXiv:2005.14187, MIT): eight tables of 2,000 transformers.

The files stay outside this repository; they are read as texts, within bounds. Axis letters: N networks, L layers, D
devices, F features.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.blocks import blocks_of
from dnas.architectures.genotype import random
from dnas.architectures.topology import Space
from dnas.costs.latency_table import LatencyTable
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import Location, of_project, reading
from dnas.errors import UserError, unknown

FILE, HAT_FILE = "hw_latency.tar.xz", "hat_latency.tar.xz"
MOST_BYTES = 100_000_000  # of an archive; the larger one has 34 MB
LAYERS, KIND = 22, "block"  # of the space "fbnet", and its kind of cell
# What the options of a layer are called there, in the order of our space.
FBNET = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
CELL = re.compile(r"(\w+)~\d")
SPACES = {
    "nasbench201": "help_nasbench201_latency_ms.csv",
    "fbnet": "help_fbnet_latency_ms.csv",
    "ofa": "help_ofa_latency_ms.csv",
}
# Networks of once-for-all there: of width 1, five stages of at most four blocks, and square images.
STAGES, MOST_BLOCKS, WIDTHS = 5, 4, (24, 40, 80, 112, 160)
RESOLUTIONS = tuple(range(128, 225, 4))
ELASTIC = ("none", *(f"k{k}_e{e}" for k in (3, 5, 7) for e in (3, 4, 6)), *(f"r{side}" for side in RESOLUTIONS))
PER_OPERATION = {"cpu": "fbnet_lookup_AnnaAraslanova.txt", "raspi4_32": "fbnet_lookup_raspi4_jh88.json"}
HAT = (
    *(f"{task}_{device}" for task in ("wmt14ende", "wmt14enfr") for device in ("cpu_raspberrypi", "cpu_xeon")),
    *(f"{task}_gpu_titanxp" for task in ("wmt14ende", "wmt14enfr", "wmt19ende", "iwslt14deen")),
)
SEARCHED = slice(2, 2 + LAYERS)  # of the entries of the second file, whose others are stem and head


class Latencies(NamedTuple):
    """operations: names [N, L]. devices: names [D]. milliseconds: float64 [N, D]."""

    operations: np.ndarray
    devices: tuple[str, ...]
    milliseconds: np.ndarray

    def on(self, device: str) -> np.ndarray:
        """[N]. Errors: `UserError` for an unknown device, with the nearest names."""
        if device not in self.devices:
            raise unknown("device of HELP's latencies:", device, self.devices)
        return self.milliseconds[:, self.devices.index(device)]


def locate(file: str = FILE) -> Location:
    return of_project(file, "hardware")


@cache
def help_latencies(space: str) -> Latencies:
    """Of "nasbench201", "fbnet" or "ofa". Operations of a cell are in the order of its edges in our space; those of
    once-for-all are as `elastic` has them.

    Errors: `UserError` for another space, and where the file is not there, or damaged.
    """
    if space not in SPACES:
        raise UserError(
            f"HELP has latencies of the spaces {', '.join(SPACES)}, not of '{space}': choose one of these, or "
            "measure a table, dnas latency."
        )
    with reading(locate().require("latency", FILE, "cost"), f"get {FILE} again"):
        rows = csv.reader(io.StringIO(_member(SPACES[space]).decode()))
        _, _, *devices = next(rows)
        names, times = [], []
        for _, written, *numbers in rows:
            names.append(_operations(written, space))
            times.append([float(number) for number in numbers])
        found = Latencies(np.array(names), tuple(devices), np.array(times))
        if found.operations.ndim != 2 or found.milliseconds.shape != (len(names), len(devices)):
            raise ValueError("its rows differ in length")
        if not (found.milliseconds > 0).all():
            raise ValueError("it has times that are not positive")
    return found


def _operations(written: str, space: str) -> list[str]:
    """Of a network, as HELP writes it."""
    if space == "ofa":
        network = json.loads(written)
        return elastic(network["ks"], network["d"], network["e"], network["r"])
    return CELL.findall(written) if space == "nasbench201" else written.split()


def elastic(
    kernels: Sequence[int | str], depths: Sequence[int | str], expansions: Sequence[int | str], resolution: int | str
) -> list[str]:
    """A network of once-for-all by names among `ELASTIC`: what stands in each place for a block, then its images."""
    places = [(stage, place) for stage in range(STAGES) for place in range(MOST_BLOCKS)]
    blocks = [
        f"k{kernel}_e{expansion}" if place < int(depths[stage]) else "none"
        for (stage, place), kernel, expansion in zip(places, kernels, expansions, strict=True)
    ]
    return [*blocks, f"r{resolution}"]


def one_hot(operations: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """float64 [N, L * O] of names [N, L] among `names` [O]. Errors: `ValueError` for a name that is none of them."""
    found = (operations[..., None] == np.array(names)).astype(float)
    if not found.any(-1).all():
        raise ValueError(f"an operation is none of {', '.join(names)}")
    return found.reshape(len(operations), -1)


def additive(device: str, rows: np.ndarray | None = None) -> LatencyTable:
    """The sum over layers that fits HELP's latencies of FBNet on a device best, by least squares over all networks or
    over some rows of them. Those of pixel3, raspi4, eyeriss and fpga are such sums.

    Nobody can tell a time of all operations of one layer from one of another layer: so the fastest operation of each
    layer takes none here, and the constant has the rest.
    Errors: `UserError` for an unknown device, and as of `help_latencies`.
    """
    latencies = help_latencies("fbnet")
    features, times = one_hot(latencies.operations, FBNET), latencies.on(device)
    rows = np.arange(len(times)) if rows is None else rows
    x = features[rows]  # normal equations: much faster than a decomposition of x, and of whole numbers
    found = np.linalg.lstsq(x.T @ x, x.T @ times[rows], rcond=1e-9)[0].reshape(LAYERS, -1)
    least = found.min(1, keepdims=True)
    error = np.median(np.abs(features @ found.ravel() / times - 1))
    how = f"least squares over {len(rows):,} networks of HELP, median error {100 * error:.2g} % over all"
    layers = [dict(zip(FBNET, map(float, row), strict=True)) for row in found - least]
    return LatencyTable("fbnet", device, {KIND: layers}, how, max(float(least.sum()), 0.0))  # that of fpga is 0


def per_operation(name: str) -> LatencyTable:
    """A table per operation of FBNet, "cpu" or "raspi4_32". Errors: `UserError` for another name, and as above."""
    if name not in PER_OPERATION:
        raise unknown("table per operation of FBNet:", name, PER_OPERATION)
    with reading(locate().require("latency", FILE, "cost"), f"get {FILE} again"):
        text = _member(PER_OPERATION[name]).decode()
        rows: list[Any]
        rows = [line.split() for line in text.splitlines()[1:]] if name == "cpu" else json.loads(text)[SEARCHED]
        times = [{o: float(time) / 1e3 for o, time in zip(FBNET, row, strict=False)} for row in rows]
        if len(times) != LAYERS or min(map(len, times)) < len(FBNET) - 1:
            raise ValueError(f"it does not have {LAYERS} layers of {len(FBNET) - 1} operations and more")
    pixels = 224 if name == "cpu" else 32
    how = f"{PER_OPERATION[name]}, microseconds per operation, images of {pixels}x{pixels}"
    return LatencyTable("fbnet", name, {KIND: times}, how, sizes={"image_size": pixels})


def check_layers(space: Space) -> Sequence[Sequence[str]]:
    """The words of the options of FBNet's layers in our space. Errors: `UserError` for a space of other layers."""
    options = space.cells[KIND].operations if list(space.cells) == [KIND] else ()
    if [len(names) for names in options] != [len(FBNET)] * LAYERS:
        raise UserError(
            f"Published latencies are of {LAYERS} layers of {len(FBNET)} blocks, which this space of '{space.name}' "
            "does not have: choose size=imagenet or size=cifar, or measure a table, dnas latency."
        )
    return options


def renamed(table: LatencyTable, space: Space) -> LatencyTable:
    """A table of FBNet with the words of our space for its operations, which has other words in every layer.

    Errors: `UserError` for a space of other layers.
    """
    options = check_layers(space)
    rows = [
        {word: row[name] for word, name in zip(words, FBNET, strict=True) if name in row}
        for words, row in zip(options, table.cells[KIND], strict=True)
    ]
    return replace(table, cells={KIND: rows})


def check_elastic(space: Space, image_size: int) -> None:
    """Errors: `UserError` for a space of once-for-all whose networks HELP has not measured, or for other images."""
    cells = {kind: {*cell.operations} for kind, cell in space.cells.items()}
    options = {kind: {int(name) for names in rows for name in names} for kind, rows in cells.items()}
    sides = options.get("resolution", {image_size})
    assert space.chain_of is not None
    chain = blocks_of(space.chain_of(random(space, 0)))
    widths = tuple(dict.fromkeys(block.channels for block in chain if block.kind == "mb"))[1:]
    known = (
        len(space.cells["kernel"].edges) == STAGES * MOST_BLOCKS
        and (options["kernel"], options["expansion"]) <= ({3, 5, 7}, {3, 4, 6})
        and widths == WIDTHS
    )
    if not known or not sides <= {*RESOLUTIONS}:
        raise UserError(
            "HELP has measured networks of once-for-all of width 1 with kernels 3+5+7, expansions 3+4+6, at most 4 "
            "blocks a stage and images of 128 to 224 pixels in steps of 4: choose ofa:size=imagenet with some of these."
        )


class Transformers(NamedTuple):
    """features: [N, F], named in `names`. encoder, decoder: milliseconds [N]."""

    names: tuple[str, ...]
    features: np.ndarray
    encoder: np.ndarray
    decoder: np.ndarray


def hat_latencies(name: str) -> Transformers:
    """One of HAT's tables, as "iwslt14deen_gpu_titanxp". Errors: `UserError` for an unknown name, and as above."""
    if name not in HAT:
        raise unknown("latency table of HAT:", name, HAT)
    with reading(locate(HAT_FILE).require("latency", HAT_FILE, "cost"), f"get {HAT_FILE} again"):
        header, *rows = csv.reader(io.StringIO(_member(f"{name}_all.csv", HAT_FILE).decode()))
        values = {column: np.array([float(row[i]) for row in rows]) for i, column in enumerate(header)}
    names = tuple(column for column in header if not column.startswith("latency"))
    features = np.stack([values[column] for column in names], 1)
    return Transformers(names, features, values["latency_mean_encoder"], values["latency_mean_decoder"])


@cache
def _member(name: str, file: str = FILE) -> bytes:
    path, member = locate(file).require("latency", file, "cost"), f"{file.partition('.')[0]}/{name}"
    found = read_tar(io.BytesIO(inflated_xz(path, MOST_BYTES)), [member], MOST_BYTES)
    if member not in found:
        raise ValueError(f"it has no member '{member}'")
    return found[member]
