"""Search methods: one published method per file, `def method(**settings) -> Method`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
