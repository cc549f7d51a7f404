"""The phases of a search before it begins: what they can be, and when each begins."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax

from dnas.architectures.topology import Space
from dnas.config import Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import Deferred
from dnas.search.levels import Span, check
from dnas.search.method import Method, Phase
from dnas.search.stage import steps_per_epoch, supernet_of
from dnas.tasks.task import Task

Points = tuple[SearchConfig, ...]  # the config of a search, or of a phase, at every point of a grid


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


def plans_of(config: Config, phases: tuple[Phase, ...], at_points: Sequence[tuple[Phase, ...]]) -> list[Points]:
    """Of every phase its config at each point of the grid, none without one. at_points: the phases at every point.
    Errors: `UserError` for phases that are unlike in more than how weights and alphas are trained."""
    for others in at_points:
        if [_untrained(other) for other in others] != [_untrained(phase) for phase in phases]:
            raise UserError(
                f"The phases of '{config.method}' depend on the values of the grid '{config.grid}', and one program "
                "has one length and size: make a run for each value."
            )
    return [tuple(others[index].config for others in at_points) for index in range(len(phases))]


def _untrained(phase: Phase) -> SearchConfig:
    """The config of a phase without what may differ between points: rates, their schedule, the decay."""
    plain = WeightConfig(optimiser=phase.config.weights.optimiser, clip=phase.config.weights.clip)
    alphas = replace(phase.config.alphas, learning_rate=0.0)
    return replace(phase.config, weights=plain, alphas=alphas)


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
