"""From a config and a data set to a task that search or training can use."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dnas import fields, find, grid
from dnas.architectures.topology import Space
from dnas.config import AugmentConfig, Config
from dnas.errors import UserError
from dnas.tasks.task import Answering, Framed, Stateful, Task, Writing

AUTO = "auto"
OF_IMAGES = ("augment", "mixup", "cutmix", "rand_augment", "magnitude")  # what changes images in training
OF_THEIR_NETWORKS = ("auxiliary", "drop_path", "stem")


def bind(dataset: Any, config: Config, stage: str, space: Space) -> tuple[Task, Any]:
    """The task of a run, and its plan as the data bear it; see `task.Binding`.

    The task is the one that the config names, "auto": that of the data set. Errors: `UserError`, also for a space
    whose networks read other things than the task has.
    """
    choice = dataset.task if config.task == AUTO else config.task
    plan = config.search if stage == "search" else config.retrain
    task, plan = find.resolve("task", choice)(dataset, plan, config, stage)
    if isinstance(task, Framed) and "frames" in space.readable:
        task = task.framed()
    if task.takes not in space.readable:
        raise UserError(
            f"Networks of the space '{space.name}' read {' or '.join(space.readable)}, and the task '{task.name}' on "
            f"'{dataset.name}' has {task.takes}: choose another space or data set."
        )
    if isinstance(task, Stateful) and not space.recurrent:
        task = task.stateless()
    if task.takes != "images":
        unlabelled = not isinstance(task, Answering | Writing)
        idle = (*OF_THEIR_NETWORKS, *OF_IMAGES, *("label_smoothing",) * unlabelled)
        refuse_idle(config, stage, idle, f"networks of images only, while these read {task.takes}")
    _refuse_unknown_sizes(config, stage, space)
    return task, _at_rate_of_batch(plan)


def points_of(config: Config, plan: Any, stage: str) -> tuple[Any, ...]:
    """The plan at every point of the grid; none without one. plan: of `bind`. Errors: `UserError` of the grid."""
    known, unscaled = grid.points(config, stage), replace(plan, weights=getattr(config, stage).weights)
    at = (fields.applied(replace(config, **{stage: unscaled}), point) for point in known)
    return tuple(_at_rate_of_batch(getattr(one, stage)) for one in at)


def _at_rate_of_batch(plan: Any) -> Any:
    """The plan with the learning rate of its updates, which grows with their examples where it is that of others (Goyal
    et al. 2017, arXiv:1706.02677)."""
    weights = plan.weights
    if not weights.reference_batch:
        return plan
    examples = plan.batch_size * getattr(plan, "accumulate", 1)
    rate = weights.learning_rate * examples / weights.reference_batch
    return replace(plan, weights=replace(weights, learning_rate=rate, reference_batch=0))


def _refuse_unknown_sizes(config: Config, stage: str, space: Space) -> None:
    """Refuse a size that networks of this space do not know, unless it is the default or says what holds anyhow."""
    plan, default = getattr(config, stage), getattr(type(config)(), stage)
    own_width = {"channels": 0} if space.chain or space.own_size else {}
    if space.own_size:
        own_width["drop_path"] = 0
    for name, anyhow in {"cells": 1, "remat": False, "unroll_cells": False, **own_width}.items():
        set_to = getattr(plan, name, anyhow)
        if name not in space.sizes and set_to not in (anyhow, getattr(default, name, anyhow)):
            raise UserError(
                f"{stage}.{name} is {set_to}, and does nothing in networks of the space '{space.name}': leave it out."
            )
    if getattr(plan, "unroll_cells", False) and plan.remat:
        raise UserError(
            f"{stage}.unroll_cells does nothing beside {stage}.remat, which keeps the inside of no cell: choose one."
        )


def refuse_idle(config: Config, stage: str, names: Sequence[str], acts_on: str) -> None:
    """Refuse what was set of settings that do nothing here. Defaults, and what switches it off, are no such wish.
    acts_on: what they act on, and what there is instead."""
    plan, default = getattr(config, stage), getattr(type(config)(), stage)
    off = {"auxiliary": 0.0, "drop_path": 0.0, "stem": "cifar", "augment": AugmentConfig(pad=0, flip=False, cutout=0)}
    off |= {"mixup": 0.0, "cutmix": 0.0, "rand_augment": 0, "magnitude": type(config)().retrain.magnitude}
    off |= {"label_smoothing": 0.0}
    for name in names:
        set_to = getattr(plan, name, off[name])
        if set_to not in (off[name], getattr(default, name, off[name])):
            raise UserError(f"{stage}.{name} is {set_to}, and acts on {acts_on}: leave it out.")
