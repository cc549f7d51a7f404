"""What is tried for data of a task, a file each: `recipe(dataset, *, minutes, seed) -> Recipe`."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
