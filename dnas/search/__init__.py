"""How a space is searched: one axis of a method per file, put together by `bilevel`, run by `run`."""

from dnas import modules_of
from dnas.search.run import Result, run

__all__ = ["Result", "run"]

__getattr__ = modules_of(__name__)
