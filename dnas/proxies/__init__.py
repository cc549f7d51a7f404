"""Zero-cost proxies: scores of a network at initialisation. One a file, found by its name; see `protocol.py`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
