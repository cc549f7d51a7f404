"""What architectures are worth: one evaluator a file, found by its name; what one is, `protocol.py` says."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
