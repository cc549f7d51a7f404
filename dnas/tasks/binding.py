"""From a config and a data set to a task that search or training can use."""

from typing import Any

from dnas import find
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.errors import UserError
from dnas.tasks.task import Task

AUTO = "auto"


def bind(dataset: Any, config: Config, stage: str, space: Space) -> tuple[Task, Any]:
    """The task of a run, and its plan as the data bear it; see `task.Binding`.

    The task is the one that the config names, "auto": that of the data set. Errors: `UserError`, also for a space
    whose networks read other things than the task has.
    """
    choice = dataset.task if config.task == AUTO else config.task
    plan = config.search if stage == "search" else config.retrain
    task, plan = find.resolve("task", choice)(dataset, plan, config, stage)
    if task.takes != space.takes:
        raise UserError(
            f"Networks of the space '{space.name}' read {space.takes}, and the task '{task.name}' on '{dataset.name}' "
            f"has {task.takes}: choose another space or data set."
        )
    return task, plan
