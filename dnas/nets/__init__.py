"""How a space is computed: layers, the supernet, the derived network."""

from flax import nnx

from dnas import modules_of

nnx.set_graph_mode(False)  # modules are trees: a shared variable fails loudly
nnx.set_graph_updates(False)

__getattr__ = modules_of(__name__)
