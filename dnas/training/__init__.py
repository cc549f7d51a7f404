"""Training: optimisers, learning rates, averages of weights. Knows no network, no data and no search."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
