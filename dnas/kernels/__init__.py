"""The CPU's own kernels, and the same in XLA where they are not."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
