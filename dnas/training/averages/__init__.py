"""Averages of weights, one per file, found by its file name: what is evaluated and loaded in place of the last ones."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
