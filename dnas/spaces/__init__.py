"""Search spaces: one named space per file, what they are made of, and what comes out."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
