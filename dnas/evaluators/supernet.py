"""Supernet: the score on the validation part with the shared weights of a search, one path of its supernet.

As in SPOS (Guo et al. 2020, arXiv:1904.00420): an evaluation is a forward pass, and what it says of a training of its
own is what the search has made of the weights. Seconds are measured.
"""

import time
from typing import Annotated

import jax
import numpy as np

from dnas import find
from dnas.architectures.choices import decode
from dnas.architectures.genotype import as_mix
from dnas.errors import UserError, unknown
from dnas.evaluators import truths
from dnas.evaluators.protocol import HostEvaluator
from dnas.loading import FoundSupernet, load
from dnas.ranges import Count, Whole, beside
from dnas.search import asked
from dnas.training.job import priced_as

STATISTICS = ("batch", "running", "calibrated")


def evaluator(
    *,
    run: str = "",
    number: Whole = 0,
    statistics: str = "batch",
    examples: Annotated[Count, beside(statistics="calibrated")] = 2000,
    batches: Whole = 0,
) -> HostEvaluator:
    """`run`, the folder of a search; `number`, which of its seeds, from 0; `statistics` that normalise: of the
    batch itself, running, those of the search, or calibrated, of the network over so many `examples` of the training
    part, as once-for-all has them; `batches` of the validation part, 0: all.

    Errors: `UserError` for a folder that holds no search.
    """
    if statistics not in STATISTICS:
        raise unknown("statistics", statistics, STATISTICS)
    if not run:
        raise UserError("A supernet is that of a search: name its folder, as in --evaluator supernet:run=runs/spos.")
    found = load(run)
    found = load(run, found.config.seed + number) if number else found
    if not isinstance(found, FoundSupernet):
        raise UserError(f"{run} holds a training and no search, which has a supernet: name the folder of a search.")
    stage, space, score = found.stage, found.stage.space, found.task.score
    measured = stage.evaluator(found.state, found.seed - found.config.seed)
    calibrate = examples if statistics == "calibrated" else 0

    def evaluate(architecture: np.ndarray, fidelity: float, seed: int) -> tuple[dict[str, float], float]:
        began = time.perf_counter()
        mix = as_mix(decode(architecture, space), space)
        with jax.enable_x64(found.config.dtype == "float64"):
            value, loss = measured(mix, train=statistics == "batch", batches=batches or None, calibrate=calibrate)
        return {score.name: score.signed(value), "loss": loss}, time.perf_counter() - began

    def multiply_adds(architectures: np.ndarray, fidelities: np.ndarray) -> np.ndarray:
        with jax.enable_x64(found.config.dtype == "float64"):
            total = asked.multiply_adds(stage, "evaluated") * min(batches or stage.batches, stage.batches)
            if count := stage.calibration_batches(calibrate):
                total += asked.multiply_adds(stage, "calibrated") * count
        return np.full(len(architectures), float(total))

    name, _ = find.parse_choice(found.config.data)
    measures = {score.name: score.more, "loss": False}
    return HostEvaluator(
        space,
        measures,
        evaluate,
        **truths.of_space(space, name),
        multiply_adds=multiply_adds,
        data=found.config.data,
        source=run,
        network=priced_as(found.config.retrain, space, found.task.shape),
    )
