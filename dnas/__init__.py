"""Differentiable neural architecture search in JAX.

config = dnas.config.load("experiments/small_digits.py")
run = dnas.search.run(config)
network = dnas.nets.network.build(run.genotype, classes=10, cells=3, channels=4, image_channels=1)
trained = dnas.retrain.run(config, run.genotype)
found = dnas.load(trained.folder)
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

__version__ = "0.1.0"
STARTED = time.time()  # before any other source of ours is read; see programs.py


def modules_of(package: str) -> Callable[[str], Any]:
    """A `__getattr__` for a package: its modules are imported when they are first used, as `dnas.nets.network`."""

    def imported(name: str) -> Any:
        module = f"{package}.{name}"
        if not name.startswith("_"):  # what others ask every object for
            try:
                return importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return imported


def load(folder: Any, seed: int | None = None, *, data: Any = None) -> Any:
    """The trained network of a run folder, or the supernet of a search: see `dnas.loading.load`."""
    return importlib.import_module("dnas.loading").load(folder, seed, data=data)


def export(found: Any, out: Any = None, *, form: str = "stablehlo", weights: str = "trained") -> Any:
    """Write a loaded network for others, as `dnas export` does: see `dnas.exporting.export`."""
    return importlib.import_module("dnas.exporting").export(found, out, form=form, weights=weights)


__getattr__ = modules_of(__name__)
