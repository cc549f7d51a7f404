"""The phases of a search before it begins: what they can be, and when each begins."""

from collections.abc import Callable

import jax

from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.errors import UserError
from dnas.nets.functional import Deferred
from dnas.search.levels import Span, check
from dnas.search.method import Method, Phase
from dnas.search.stage import steps_per_epoch, supernet_of
from dnas.tasks.task import Task


def check_phases(
    config: Config,
    unlimited: Space,
    space: Space,
    phases: tuple[Phase, ...],
    adapted: Callable[[int, Space], Method],
    task: Task,
) -> None:
    """Build the later phases, too, with all operations: what none of them can be is said now, not in hours.

    unlimited: the space with all kinds of cells; space: with those that the first phase contains. adapted: the method
    of a phase. Errors: `UserError`.
    """
    for index, phase in enumerate(phases):
        method, cells = adapted(index, space), phase.config.cells
        check(method, phase.config)
        if method.hypergrad is not None and not phase.config.alphas.learning_rate:
            raise UserError("search.alphas.learning_rate is 0, so no alphas would be trained: choose one above 0.")
        missing = set(space.cells) ^ set(unlimited.contained(cells))
        if missing:
            raise UserError(
                f"search.cells is {config.search.cells}, and phase {index + 1} of '{config.method}' has "
                f"{cells}: not both contain the {min(missing)} cell; choose more cells."
            )
        if method.members > 1 and (phase.keep or (index and not phase.restart)):
            raise UserError(
                f"Phase {index + 1} of '{config.method}' prunes the operations of one supernet, or goes on with its "
                f"weights, and here are {method.members}: use one phase."
            )
        if index:
            changes = phase.keep or _size(phase) != _size(phases[index - 1])
            if method.gradient_filter is not None and changes and not phase.restart:
                raise UserError(
                    f"Method '{config.method}' stops operations by their gradients, and the supernet of its "
                    f"phase {index + 1} has others: use one phase, or phases that begin anew."
                )
            if phase.keep and not phase.restart and phase.supernet(method.supernet(space)).entangled:
                raise UserError(
                    f"Phase {index + 1} of '{config.method}' prunes operations, and entangled ones have no weights of "
                    "their own to go on with: use one phase, or phases that begin anew."
                )
            supernet_of(phase, method, space, task)(Deferred(params=jax.random.key(0)))


def _size(phase: Phase) -> tuple:
    """What a phase's supernet depends on, beside the operations that are left."""
    return phase.supernet, phase.config.cells, phase.config.channels


def spans(phases: tuple[Phase, ...], task: Task) -> list[Span]:
    """Where every phase begins, in steps and epochs, and where its learning rate's schedule does."""
    found, step, epoch = list[Span](), 0, 0
    for i, phase in enumerate(phases):
        frozen_at = phases[i - 1].config.epochs if phase.freeze_schedules else 0
        if phase.continues and i:
            found.append(found[-1]._replace(start=step, epoch=epoch, frozen_at=frozen_at))
        else:
            together = [phase]
            for later in phases[i + 1 :]:
                if not later.continues:
                    break
                together.append(later)
            found.append(Span(step, epoch, step, sum(p.config.epochs for p in together), frozen_at))
        step += phase.config.epochs * steps_per_epoch(phase, task)
        epoch += phase.config.epochs
    return found
