"""Runs that are loaded and used: `found = dnas.load("runs/first/retrain")`.

    found.predict(inputs)      probabilities: of images as the data set gives them, rows, the next word; or numbers
    found.evaluate()           the score of the report, to the last example; or, of images, on other data
    found.finetune(data)       the network trained further, on the same or other data: another run, loaded
    found.network              a Flax module in evaluation, of what the task makes of inputs
    found.summary()            a table of its layers
    found.save_weights(path)   an .npz of plain arrays by name

A training gives a `found.Found`, a search a `supernet.FoundSupernet`, whose network takes the mix beside its inputs.
"""

import os
from pathlib import Path
from typing import Any

from dnas import modules_of
from dnas.config import Config
from dnas.errors import UserError
from dnas.loading.found import Found, load_training
from dnas.loading.supernet import FoundSupernet, load_search
from dnas.runs import checkpoints, diverged, records
from dnas.runs import weights as weights_of

__all__ = ["Found", "FoundSupernet", "is_search", "load"]

__getattr__ = modules_of(__name__)


def load(folder: str | Path, seed: int | None = None, *, data: Any = None) -> Found | FoundSupernet:
    """What a run left in its folder, with the weights of its newest checkpoint: of a training the network, of a search
    the supernet, that of the last phase it came to.

    seed: which of the run's seeds, where there are several; by default the first that did not diverge. data: the data
    set of a run that got it as arrays or as such, from Python.
    Errors: `UserError` if the folder holds no run, or one that has not saved anything yet, or was made by a version
    that kept less; for a seed that diverged.
    """
    if not isinstance(folder, str | Path) or not os.path.isdir(folder) or not records.holds_run(folder):
        raise UserError(f"{folder} holds no run: name the folder of a training, as in dnas.load('runs/first/retrain').")
    folder = Path(folder)
    checkpoints.refuse_foreign(folder)
    config = records.config_of(folder)
    index = _row_of(folder, config, seed)
    if not checkpoints.steps(folder):
        raise UserError(f"{folder} cannot be loaded: there is no checkpoint in it (yet, or any more).")
    return (load_search if is_search(folder) else load_training)(folder, config, index, data)


def _row_of(folder: Path, config: Config, seed: int | None) -> int:
    """Where what is loaded stands among the seeds. Errors: `UserError` for one whose weights are no numbers."""
    gone = diverged.of_rows(records.read_metrics(folder))
    if seed is None:
        seed = next((one for one in range(config.seed, config.seed + config.seeds) if one not in gone), config.seed)
    index = weights_of.row_of(folder, config, seed)
    diverged.refuse_weights(folder, [seed])
    return index


def is_search(folder: str | Path) -> bool:
    """Whether a run folder is that of a search, by its newest checkpoint."""
    found = weights_of.newest(Path(folder))
    return found is not None and any(name.startswith(".state.alphas") for name, *_ in found[1]["leaves"])
