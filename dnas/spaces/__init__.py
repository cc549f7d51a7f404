"""Search spaces: one named space per file. What they are made of: `dnas.architectures` and `dnas.nets`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
