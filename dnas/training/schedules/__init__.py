"""Schedules of the learning rate, one a file: `schedule(*, settings) -> Schedule`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
