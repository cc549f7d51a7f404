"""Differentiable neural architecture search in JAX."""

from flax import nnx as _nnx

_nnx.set_graph_mode(False)
_nnx.set_graph_updates(False)

__version__ = "0.1.0"
