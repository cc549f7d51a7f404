"""Optimisers of weights, one a file: `optimiser(*, settings) -> Optimiser`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
