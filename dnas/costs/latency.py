"""latency: milliseconds of one batch, by a table per layer and operation, or as HELP has measured or predicts it.

HELP: Lee et al. 2021, arXiv:2106.08630, 27 devices (`published.py`). On NAS-Bench-201 all cells are measured. On FBNet
5,000 networks are, so that others are predicted: by a table per layer and operation fitted to them, which is exact on
pixel3, raspi4, eyeriss and fpga, or by a learned predictor (`predictors.py`). On once-for-all 5,000 are, on 12 GPUs;
others are predicted by logarithms, since a resolution multiplies what blocks take. Of a table of your own, as `dnas
latency` measures it, a network takes the sum over what reaches the output of its cells; a mix also of the rest. Where
what an option takes depends on others, a table is of blocks (`latency_blocks.py`), and only networks have a latency.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import numpy as np

from dnas.architectures.flow import live
from dnas.architectures.genotype import Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Space
from dnas.costs import latency_blocks, latency_table, predictors, published
from dnas.costs.latency_table import LatencyTable
from dnas.costs.protocol import Additive, Build, Cost
from dnas.data._files import users_path
from dnas.errors import UserError, unknown
from dnas.ranges import Acts
from dnas.tables import nasbench201

PREDICTORS = {"mlp": predictors.multilayer_perceptron, "gaussian_process": predictors.gaussian_process}
TRAINED = 900  # networks that a predictor learns from
OF_DEVICE = Acts("a device", lambda given: bool(given["device"]))


def cost(*, table: str = "", device: str = "", by: Annotated[str, OF_DEVICE] = "") -> Build:
    """`table`, a file, or `device`, one of HELP's; `by` table, mlp or gaussian_process; empty: a table where there is
    one, else a Gaussian process.

    Errors: `UserError` for a file that is none, and where not exactly one of both is given; when it is built, for an
    unknown device, and for a space that the table or HELP does not have.
    """
    if bool(table) == bool(device):
        raise UserError(
            "The cost 'latency' needs a table or a device: write latency:table=FILE, a file of dnas latency, or "
            "latency:device=NAME, a device of HELP, as raspi4."
        )
    if by not in ("", "table", *PREDICTORS):
        raise unknown("predictor of cost 'latency':", by, ("table", *PREDICTORS))
    if table:
        return _of_file(users_path(table))

    def build(space: Space, size: NetworkSize, image_size: int) -> Cost:
        if space.name == "nasbench201":
            if by:
                raise UserError(f"All cells of 'nasbench201' are measured, so none is predicted: leave out by={by}.")
            return _measured_cells(space, device)
        published.help_latencies(space.name).on(device)
        if space.name == "ofa":
            return _elastic(space, image_size, device, by or "gaussian_process")
        return _fitted(space, device) if by in ("", "table") else _predicted(space, device, by)

    return build


def sizes_of(space: Space, size: NetworkSize, image_size: int) -> dict[str, int | str]:
    """What of the sizes of networks makes a difference to the latency of a space."""
    of_cells: dict[str, int | str] = {"cells": size.cells, "channels": size.channels, "stem": size.stem}
    return {"image_size": image_size} | (of_cells if "cells" in space.sizes else {})


def _of_file(path: Path) -> Build:
    known = latency_table.read(path)
    return lambda space, size, image_size: of_table(known, space, size, image_size)


def of_table(table: LatencyTable, space: Space, size: NetworkSize, image_size: int) -> Cost:
    """Errors: `UserError` for a table of another space, of other sizes, or with missing entries."""
    sizes = sizes_of(space, size, image_size)
    if latency_blocks.by_blocks(space):
        return latency_blocks.cost(table, space, size, image_size, sizes)
    additive = table.of_space(space, sizes)
    return Cost("latency", "ms", space, partial(_live_sum, additive, space), additive, table.how, exact=False)


def _live_sum(additive: Additive, space: Space, genotype: Genotype) -> float:
    return additive.of(live(genotype), space)


def _fitted(space: Space, device: str) -> Cost:
    known = published.renamed(published.additive(device), space)
    additive = known.of_space(space)
    return Cost("latency", "ms", space, lambda genotype: additive.of(genotype, space), additive, known.how)


def _predicted(space: Space, device: str, by: str) -> Cost:
    published.check_layers(space)
    predict = _learned(space.name, published.FBNET, device, by, TRAINED)

    def of(genotype: Genotype) -> float:
        ((_, mix),) = as_mix(genotype, space).items()
        return float(predict(mix.reshape(1, -1).astype(float))[0, 0])

    return Cost("latency", "ms", space, of, None, f"{by}, of {TRAINED} networks of HELP on {device}")


def _elastic(space: Space, image_size: int, device: str, by: str) -> Cost:
    if by == "table":
        raise UserError(
            "What a block of 'ofa' takes depends on the resolution, so no table has it: leave out by=table."
        )
    published.check_elastic(space, image_size)
    predict = _learned(space.name, published.ELASTIC, device, by, TRAINED)

    def of(genotype: Genotype) -> float:
        chosen = {kind: [edge.operation for edge in cell.edges] for kind, cell in genotype.cells}
        side, *_ = chosen.get("resolution", [str(image_size)])
        names = published.elastic(chosen["kernel"], chosen["depth"], chosen["expansion"], side)
        return float(np.exp(predict(published.one_hot(np.array([names]), published.ELASTIC))[0, 0]))

    return Cost("latency", "ms", space, of, None, f"{by}, of {TRAINED} networks of HELP on {device}")


@cache
def _learned(space: str, names: tuple[str, ...], device: str, by: str, count: int) -> predictors.Predict:
    """Of so many networks of HELP; of once-for-all it predicts logarithms."""
    latencies = published.help_latencies(space)
    rows = np.random.default_rng(0).permutation(len(latencies.operations))[:count]
    times = latencies.on(device)[rows, None]
    learn: Callable[[np.ndarray, np.ndarray], predictors.Predict] = PREDICTORS[by]
    return learn(published.one_hot(latencies.operations[rows], names), np.log(times) if space == "ofa" else times)


def _measured_cells(space: Space, device: str) -> Cost:
    latencies = published.help_latencies(space.name)
    numbers = np.argmax(latencies.operations[..., None] == np.array(nasbench201.OPERATIONS), -1)
    by_place = np.empty(len(numbers))
    by_place[nasbench201.place(numbers, nasbench201.OPTIONS)] = latencies.on(device)

    def of(genotype: Genotype) -> float:
        if (place := nasbench201.place_of(genotype)) is None:
            raise UserError("HELP has measured cells of 4 nodes and 5 operations of 'nasbench201': give one of these.")
        return float(by_place[place])

    return Cost("latency", "ms", space, of, None, f"measured by HELP on {device}")
