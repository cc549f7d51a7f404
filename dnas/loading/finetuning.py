"""What a network is trained further on: whether data fit it, and the config of that training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dnas import data as datasets
from dnas import fields, find, grid
from dnas.config import Config
from dnas.errors import UserError
from dnas.loading.loaded import Loaded
from dnas.loading.looks import in_tokens_of
from dnas.tasks import binding
from dnas.tasks.audio_classification import SoundClasses
from dnas.tasks.tabular import Rows
from dnas.tasks.text_classification import SentenceClasses

GENTLER = 0.1  # than the learning rate of the training


def plan(
    found: Loaded, data: Any, epochs: int, learning_rate: float | None, batch_size: int | None
) -> tuple[Config, Any]:
    """The config, and the data set. Errors: `UserError` for data that do not fit the network, and for such numbers."""
    if not found.folder.is_dir():
        raise UserError(
            f"What was read from {found.folder} is no run: train its cell with dnas retrain, and go on there."
        )
    own = fields.applied(found.config, grid.row(found.config, "retrain", found.seed - found.config.seed))
    own = own if isinstance(data, str | None) else replace(own, data=datasets.ARRAYS)
    named = data if isinstance(data, str) else own.data
    given = found.given if data is None else data
    config = replace(own, data=named, seeds=1, seed=found.seed, grid="")
    dataset = in_tokens_of(datasets.load(named if given is None else given), found.description)
    rate = config.retrain.weights.learning_rate * GENTLER if learning_rate is None else learning_rate
    training = replace(
        config.retrain,
        epochs=epochs,
        batch_size=config.retrain.batch_size if batch_size is None else batch_size,
        weights=replace(config.retrain.weights, learning_rate=rate, warmup_epochs=0),
    )
    config = replace(config, retrain=training)
    task, _ = binding.bind(dataset, config, "retrain", find.resolve("space", config.space))
    if isinstance(task, SoundClasses) != isinstance(found.task, SoundClasses):
        raise UserError(
            f"'{dataset.name}' has other things than the {found.reads} that the network of {found.folder} "
            "reads: give it such."
        )
    head = "new" if _differs(found, task) else "kept"
    return replace(config, weights_from=f"{found.folder}:seed={found.seed},head={head}"), dataset


def same_classes(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether the classes of other data, in their order, can be these: those of arrays are numbers only."""
    return len(theirs) == len(ours) and (theirs == ours or tuple(theirs) == tuple(map(str, range(len(theirs)))))


def _differs(found: Loaded, task: Any) -> bool:
    """Whether a task has other classes. Errors: `UserError` where its inputs are others."""
    if found.looks is not None:
        channels, known = task.shape.inputs[-1], found.looks.shape[-1]
        if channels != known:
            raise UserError(
                f"'{task.splits.name}' has images of {channels} channel(s), and the network of {found.folder} was "
                f"trained on {known}: give it images of as many."
            )
        return not same_classes(task.splits.classes, found.classes)
    if isinstance(task, SoundClasses) and isinstance(found.task, SoundClasses):
        if task.front != found.task.front:
            raise UserError(
                f"'{task.recordings.name}' has {task.front.sample_rate:,} samples a second, and the network of "
                f"{found.folder} was trained on {found.task.front.sample_rate:,}: give it recordings at that rate."
            )
        return task.class_names != found.classes
    if isinstance(task, SentenceClasses) and isinstance(found.task, SentenceClasses):
        return task.class_names != found.classes
    if not isinstance(task, Rows) or not isinstance(found.task, Rows):
        return False
    theirs, ours = task.features.names(), found.task.features.names()
    if theirs != ours:
        other = next(
            iter([name for name in theirs if name not in ours] + [name for name in ours if name not in theirs])
        )
        other = other.partition("__")[2]  # what stands before is the kind of the column
        raise UserError(
            f"The rows of '{task.table.name}' become other features than those that the network of {found.folder} "
            f"reads, '{other}' say: give a table of the same columns and categories."
        )
    return task.table.classes != found.classes
