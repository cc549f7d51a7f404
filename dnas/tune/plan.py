"""A study, fully described: the config, what of it is tuned, how values are proposed and trials given up."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from dnas import find, keys
from dnas.architectures.choices import choices, decode, named
from dnas.architectures.genotype import Genotype, to_json
from dnas.architectures.topology import Space
from dnas.blackbox.optuna_study import library
from dnas.config import Config, check, to_dict
from dnas.errors import UserError, unknown
from dnas.evaluators import cross_validation, train
from dnas.fields import shown
from dnas.retrain import check_network
from dnas.search.run import build
from dnas.tasks.task import Score
from dnas.tune.axes import ARCHITECTURE, Axis, applied, axes_of, corners

Searcher = Literal["tpe", "random", "cmaes", "hyperband"]
Pruner = Literal["median", "halving", "hyperband", "none"]
LENGTH = "retrain.epochs"
MOST_REPEATS = 100


@dataclass(frozen=True)
class Plan:
    """A study. genotype: what every trial trains, None where it is searched or proposed. score: what is tuned for, on
    the validation part, or on so many folds of the train part. repeats: trainings of a trial on each, with seeds of
    their own, whose mean counts."""

    config: Config
    axes: tuple[Axis, ...]
    searcher: Searcher
    pruner: Pruner
    genotype: Genotype | None
    score: Score
    folds: int = 1
    repeats: int = 1

    @property
    def searches(self) -> bool:
        """Whether a trial is a search and the training of what it finds, not a training alone."""
        return any(axis.of_search for axis in self.axes)

    def described(self) -> dict[str, Any]:
        """JSON-ready, all that must not change while the study goes on."""
        described: dict[str, Any] = {
            "over": [str(axis) for axis in self.axes],
            "searcher": self.searcher,
            "pruner": self.pruner,
            "cell": None if self.genotype is None else to_json(self.genotype),
            "config": to_dict(self.config),
        }
        more = {"folds": self.folds, "repeats": self.repeats}
        described.update({name: count for name, count in more.items() if count > 1})
        return json.loads(json.dumps(described))

    def proposed(self, values: Mapping[str, Any]) -> Genotype | None:
        """The genotype of a trial; None where it is searched."""
        if self.genotype is not None or self.searches:
            return self.genotype
        space = find.resolve("space", self.config.space)
        chosen = [options.index(values.get(f"{ARCHITECTURE}.{name}", options[0])) for name, options in named(space)]
        return decode(np.array(chosen, np.int32), space)


def planned(
    config: Config,
    over: Sequence[str],
    *,
    searcher: str = "tpe",
    pruner: str | None = None,
    genotype: Genotype | None = None,
    folds: int = 1,
    repeats: int = 1,
) -> Plan:
    """A study that can be run: everything is built once at the ends of all ranges, and nothing is compiled.

    over: see `dnas.tune.axes`. searcher, pruner: of the types above; None: hyperband for hyperband, else median, or
    none where epochs are tuned. genotype: what is trained, where nothing of a search is tuned. folds: of the train
    part, on which every trial is scored; 1: on its validation part. repeats: see `Plan`.
    Errors: `UserError` for what cannot be.
    """
    check(config)
    axes = axes_of(over, config)
    chosen, given_up = _searcher(searcher, axes), _pruner(searcher, pruner, axes)
    searching, proposing = any(axis.of_search for axis in axes), any(axis.of_architecture for axis in axes)
    if genotype is not None and (searching or proposing):
        other = (
            "the architecture is tuned"
            if proposing
            else f"{_first_of_search(axes)} is tuned, so each trial searches one"
        )
        raise UserError(f"A cell is given, and {other}: leave out the cell, or tune fields of retrain only.")
    if genotype is None and not searching and not proposing:
        raise UserError(
            "Only the training is tuned: say of which network, by a run folder as EXPERIMENT or --cell DARTS_V2, or "
            "tune the architecture too, --over architecture."
        )
    if folds < 1:
        raise UserError(f"--folds must be at least 1, not {folds}.")
    cross_validation.parts_of(config, folds)
    if not 1 <= repeats <= MOST_REPEATS:
        raise UserError(f"--repeats must be at least 1 and at most {MOST_REPEATS}, not {repeats}.")
    if genotype is not None:
        check_network(genotype, find.resolve("space", config.space), config.retrain.cells)
    elif config.weights_from:
        raise UserError(
            f"The config begins with the weights of {config.weights_from}, which fit one network, and each trial has "
            "another: start from a config without weights_from."
        )
    plan = Plan(config, axes, chosen, given_up, genotype, Score("accuracy"), folds, repeats)
    return replace(plan, score=_built(plan))


def _first_of_search(axes: Sequence[Axis]) -> str:
    return next(axis.path for axis in axes if axis.of_search)


def _searcher(name: str, axes: Sequence[Axis]) -> Searcher:
    if name == "dehb":
        raise UserError(
            "dehb breeds a population that lives in one process, and a study is a table that workers come and go by: "
            "choose hyperband, or tpe with --pruner hyperband. Architectures alone: dnas blackbox --searcher dehb."
        )
    if name not in get_args(Searcher):
        raise unknown("searcher of dnas tune:", name, get_args(Searcher))
    if name == "cmaes":
        library("cmaes")
        if listed := [axis.path for axis in axes if axis.listed]:
            raise UserError(f"The searcher cmaes knows ranges of numbers only, and {listed[0]} is a list: choose tpe.")
        if len(axes) < 2:
            raise UserError(f"The searcher cmaes needs two fields or more, and {axes[0].path} is one: choose tpe.")
    return name  # type: ignore[return-value]  # it is one of them


def _pruner(searcher: str, name: str | None, axes: Sequence[Axis]) -> Pruner:
    lengths = any(axis.path == LENGTH for axis in axes)
    if name is None:
        name = "hyperband" if searcher == "hyperband" else "none" if lengths else "median"
    if name not in get_args(Pruner):
        raise unknown("pruner", name, get_args(Pruner))
    if searcher == "hyperband" and name != "hyperband":
        raise UserError(f"The searcher hyperband gives trials up by its own rule: leave out --pruner {name}.")
    if lengths and name != "none":
        raise UserError(
            f"{LENGTH} is tuned, and a training of another length is at another point of its schedule after as many "
            "epochs, so trials cannot be given up early: choose --pruner none, and a searcher other than hyperband."
        )
    return name  # type: ignore[return-value]  # it is one of them


def _built(plan: Plan) -> Score:
    """What trials are chosen by, after building some that have every end of every range."""
    score, draws = None, keys.generator(plan.config.seed, "an architecture to build")
    for values in corners(plan.axes):
        try:
            config = applied(plan.config, values)
            if plan.searches:
                build(config)
            genotype = plan.proposed(values) or _any(find.resolve("space", config.space), draws)
            found = train.check(config, genotype)
        except UserError as error:
            written = ", ".join(f"{path} {shown(value)}" for path, value in values.items() if ARCHITECTURE not in path)
            raise UserError(f"With {written}: {error}" if written else str(error)) from error
        score = score or found
    assert score is not None
    return score


def _any(space: Space, draws: np.random.Generator) -> Genotype:
    """Some genotype of a space."""
    options, _ = choices(space)
    return decode(np.array([draws.integers(count) for count in options], np.int32), space)
