"""Searchers that see architectures and scores and nothing else: one a file, found by its name; `searcher.py` says what
one is, `run.py` runs it.
"""

from dnas import modules_of

__getattr__ = modules_of(__name__)
