"""Searches of RobustDARTS, recorded: 211 runs of second-order DARTS on the spaces S1 and S3, epoch by epoch.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, arXiv:1909.09656; condensed
from the logs in automl/RobustDARTS (Apache-2.0). S1 was searched on CIFAR-10, S3 on SVHN, for 50 epochs, with
probabilities of drop-path or cutout from 0 to 0.8 and weight decays from 0.0003 to 0.2187, three seeds each. 67 of the
runs have the dominant eigenvalue of the Hessian of the validation loss in the alphas, after every second epoch. No run
says what its cell came to after retraining, so a rule for stopping can be judged by the cells alone
(`scripts/robustdarts_stops.py`). Axis letters: E epochs, M measurements.
"""

import io
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_text import from_texts
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import Location, of_project, reading

FILE = "robustdarts.tar.xz"
MEMBER = "robustdarts/darts_runs.json"
MOST_BYTES, MOST_RUNS, MOST_EPOCHS = 50_000_000, 10_000, 1000  # the member has 5.5 MB
REMEDY = f"get {FILE} again"


class Search(NamedTuple):
    """One run. space: "s1" or "s3". probability: of drop-path or cutout. decay: of the weights.

    genotypes: what it would have ended with after each epoch [E]. valid: accuracy of its supernet on the validation
    part in percent after each epoch, float64 [E]. eigenvalues: float64 [M], after the epochs `measured`, int [M], which
    count from 0; both are empty for runs without.
    """

    space: str
    data: str
    probability: float
    decay: float
    seed: int
    genotypes: tuple[Genotype, ...]
    valid: np.ndarray
    measured: np.ndarray
    eigenvalues: np.ndarray


def searches() -> list[Search]:
    """All runs. Errors: `UserError` if the file is not there, or damaged."""
    path = locate().require("robustdarts", FILE, "table")
    with reading(path, REMEDY):
        found = read_tar(io.BytesIO(inflated_xz(path, MOST_BYTES)), [MEMBER], MOST_BYTES)
        if MEMBER not in found:
            raise ValueError(f"it has no member '{MEMBER}'")
        runs = json.loads(found[MEMBER])
        if not isinstance(runs, list) or not 0 < len(runs) <= MOST_RUNS:
            raise ValueError("it is no list of runs")
        return [_search(run) for run in runs]


def known_after(search: Search, epoch: int) -> Search:
    """What was known of a run after an epoch, from 0: whatever judges it then cannot look ahead."""
    seen = search.measured <= epoch
    return search._replace(
        genotypes=search.genotypes[: epoch + 1],
        valid=search.valid[: epoch + 1],
        measured=search.measured[seen],
        eigenvalues=search.eigenvalues[seen],
    )


def stopped(search: Search, rule: Callable[[Search], int | None]) -> int:
    """The epoch, from 0, whose cell a run would have ended with under a rule for stopping.

    rule: of what is known after an epoch, how many epochs to go back to for the cell; None: go on.
    """
    for epoch in range(len(search.genotypes)):
        if (back := rule(known_after(search, epoch))) is not None:
            return max(0, epoch - back)
    return len(search.genotypes) - 1


def locate() -> Location:
    return of_project(FILE, "benchmarks")


def _search(run: Any) -> Search:
    """Errors: `ValueError`, `KeyError` or `TypeError` for what is no run."""
    texts, valid, measured = run["genotype_per_epoch"], run["valid_acc_per_epoch"], run.get("dominant_eig") or []
    if not (isinstance(texts, list) and isinstance(valid, list) and 0 < len(texts) == len(valid) <= MOST_EPOCHS):
        raise ValueError("a run has not as many cells as validation accuracies")
    if not isinstance(measured, list) or len(measured) > len(texts):
        raise ValueError("a run has more eigenvalues than epochs")
    eigenvalues = np.array([(row[0], row[1]) for row in measured], np.float64).reshape(-1, 2)
    epochs = eigenvalues[:, 0].astype(int)
    if not (np.diff(epochs) > 0).all() or not ((epochs >= 0) & (epochs < len(texts))).all():
        raise ValueError("the epochs of its eigenvalues do not ascend")
    accuracy = np.array(valid, np.float64)
    if not ((accuracy >= 0) & (accuracy <= 100)).all():
        raise ValueError("its accuracies are no percents")
    return Search(
        space=_text(run["space"]),
        data=_text(run["dataset"]),
        probability=float(run["drop_path_or_cutoutprob"]),
        decay=float(run["l2"]),
        seed=int(run["seed"]),
        genotypes=tuple(_cell(text) for text in texts),
        valid=accuracy,
        measured=epochs,
        eigenvalues=eigenvalues[:, 1],
    )


def _text(found: Any) -> str:
    if not isinstance(found, str) or len(found) > 100:
        raise ValueError("a name of a space or a data set is no text")
    return found


@lru_cache(maxsize=20_000)
def _cell(text: Any) -> Genotype:
    parsed = from_texts(text) if isinstance(text, str) else []
    if len(parsed) != 1:
        raise ValueError("one of its cells is no Genotype(...)")
    return parsed[0]
