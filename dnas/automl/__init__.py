"""From data to a model in use: looking at data (`look.py`, and a check each file in `checks/`)."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
