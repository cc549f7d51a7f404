"""How a space is computed: layers, the supernet, the derived network."""

import importlib
from typing import Any

from flax import nnx

nnx.set_graph_mode(False)  # modules are trees: a shared variable fails loudly
nnx.set_graph_updates(False)


def __getattr__(name: str) -> Any:
    if name in ("count", "functional", "layers", "network", "supernet"):
        return importlib.import_module(f"dnas.nets.{name}")
    raise AttributeError(f"module 'dnas.nets' has no attribute '{name}'")
