"""A run on disk: its folder, checkpoints, logs, kept programs, and the loop that fills it."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
