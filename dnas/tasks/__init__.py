"""What networks are taught: one task per file, found by its file name.

A task says what a batch is and how it is made, what the loss and the measures are, and which of them counts. Search and
training know nothing else of the data. See `task.Task`.
"""

from dnas import modules_of

__getattr__ = modules_of(__name__)
