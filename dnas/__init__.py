"""Differentiable neural architecture search in JAX.

config = dnas.config.load("experiments/small_digits.py")
run = dnas.search.run(config)
network = dnas.nets.network.build(run.genotype, config.retrain, classes=10)
trained = dnas.retrain.run(config, run.genotype)
"""

import importlib
from typing import Any

from flax import nnx as _nnx

_nnx.set_graph_mode(False)
_nnx.set_graph_updates(False)

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import rooms when they are first used: `dnas.search`, `dnas.nets.network`, ..."""
    if name in ("config", "data", "errors", "find", "interop", "loop", "methods", "nets", "records", "report", "retrain", "search", "spaces", "types"):
        return importlib.import_module(f"dnas.{name}")
    raise AttributeError(f"module 'dnas' has no attribute '{name}'")
