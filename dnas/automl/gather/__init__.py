"""Data of each sort as checks see them (`Evidence`): of a data set in memory, or of files, each read once."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
