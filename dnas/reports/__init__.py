"""What a run looks like: its page and its cells as pictures."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
