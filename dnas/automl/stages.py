"""The stages of an automatic run; each calls what a command of the same name calls, and says that command."""

import json
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dnas import find, search, tune
from dnas.architectures.genotype import Genotype, from_json, parse, to_json
from dnas.automl import baselines, networks, pace
from dnas.automl.journal import Journal
from dnas.automl.networks import Entry, entry_of, with_epochs
from dnas.automl.pace import Pace
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config, from_dict, to_dict
from dnas.costs import budget
from dnas.errors import StorageError, UserError
from dnas.evaluators import cross_validation
from dnas.files import atomic_write
from dnas.runs import loop, records
from dnas.training.job import priced_as
from dnas.tune import study as studies
from dnas.tune.axes import applied
from dnas.tune.plan import LENGTH

PLACES = {
    "look": "1_look",
    "baselines": "2_baselines",
    "search": "3_search",
    "candidates": "4_candidates",
    "tune": "5_tune",
    "tuned": "6_tuned",
    "network": "7_network",
    "export": "8_export",
}
ENDING = 0.4  # of the time, at most, is kept for what must be done in the end
CAUTION = 1.2  # networks that are found compute more than fixed ones, or take longer to compile
PATIENCE = 2.0  # times the seconds that were planned for a piece of work it may take
SUPERNET = 4.0  # times the work of a training step that a step of a search is taken to be, before it is measured
COST, MOST_WORK = "multiply_adds", 1.5  # of what is found, times that of the first fixed network
LEAST_TRIALS, MOST_TRIALS = 3, 60
TRIAL = 1 / LEAST_TRIALS  # of the time of a study, at most
FINALISTS = 3  # trials that are validated with other seeds, on other folds
RESERVE, RESERVED = 45.0, 0.04  # seconds for tests, exports and pages, and the part of all that they are at most


@dataclass(frozen=True)
class Run:
    """What all stages share. total: seconds of the whole run. pace: None before it is measured. longest:
    seconds that the validation of a fixed network took, 0 before they have."""

    folder: Path
    journal: Journal
    recipe: Recipe
    total: float
    quiet: bool
    pace: Pace | None = None
    longest: float = 0.0

    def place(self, stage: str) -> Path:
        """Its folder."""
        return self.folder / PLACES[stage]

    @property
    def planned(self) -> float:
        """Seconds that the validation of a network may take."""
        assert self.pace is not None
        least = self.pace.training(self.recipe, self.recipe.least_epochs)
        most = self.pace.training(self.recipe, self.recipe.config.retrain.epochs)
        return min(most, max(self.recipe.shares.training * self.total, least))

    @property
    def each(self) -> float:
        """That one takes, as far as is known."""
        return CAUTION * self.longest or self.planned

    @property
    def ending(self) -> float:
        """Seconds that must be left for the end, where the best network and the best fixed one are trained on all that
        is not the test part."""
        return min(2 * self.each + self.reserve, ENDING * self.total)

    @property
    def reserve(self) -> float:
        """Seconds that tests, exports and pages take."""
        return min(RESERVE, RESERVED * self.total)

    def allowed(self) -> float:
        """Seconds that a validation may take at most, now; below 0 where there is no time for any."""
        return min(PATIENCE * self.each, self.journal.left - self.ending)

    def settings(self, genotype: Genotype) -> Config:
        """How a network is trained: for as many epochs as fit into the time of all, the fewer the more it computes."""
        assert self.pace is not None
        config, ratio = self.recipe.config, 1.0
        if self.recipe.folds == 1:
            text = json.dumps(to_json(genotype))
            work = self.journal.once(f"work of {text}", lambda: pace.work_of(config, genotype, pace.EPOCHS))
            ratio = work / self.pace.work
        return with_epochs(config, max(self.recipe.least_epochs, self.pace.epochs(self.recipe, self.planned, ratio)))

    def say(self, stage: str, said: str, *commands: str) -> None:
        """A line, with the time that is left, and the commands that do the same."""
        minutes, seconds = divmod(max(0, round(self.journal.left)), 60)
        self.journal.tell(PLACES[stage].replace("_", " "), said, commands)
        loop.say(f"[{PLACES[stage].replace('_', ' ')}, {minutes}:{seconds:02d} left] {said}", self.quiet)
        for command in commands:
            loop.say(f"    {command}", self.quiet)


def command(*words: Any) -> str:
    """A command as one types it."""
    typed = (loop.quoted(word) if isinstance(word, Path) else shlex.quote(str(word)) for word in words)
    return " ".join(["dnas", *typed])


def paced(run: Run) -> Pace:
    """How fast networks are trained here. Errors: `UserError` where there is no time for any."""
    fixed = parse(next(iter(run.recipe.networks.values())))
    found = Pace(**run.journal.once("pace", lambda: pace.measured(run.recipe, fixed, run.journal.left)))
    if "checked" not in run.journal.pieces:
        pace.check(found, run.journal.left)
        run.journal.once("checked", lambda: True)
    return found


def longest(run: Run, entries: list[Entry]) -> float:
    """Seconds that the validation of a fixed network took."""
    of_networks = [entry.name for entry in entries if entry.kind == "fixed" and not entry.failed]
    return max((run.journal.pieces[f"baseline {name}"]["seconds"] for name in of_networks), default=0.0)


def fixed(run: Run, data: str) -> list[Entry]:
    """Baselines, each validated once."""
    assert run.pace is not None
    place = run.place("baselines")
    write_config(run.recipe.config, place)
    words = "baselines", data, "--config", place / "config.json"
    run.say("baselines", "What a found network has to beat.", command(*words))
    found = list[Entry]()
    for name in baselines.names(run.recipe):
        network = run.recipe.networks.get(name)
        config, seconds = run.recipe.config, run.allowed()
        if network is not None:
            config = run.settings(parse(network))
            seconds = seconds if seconds > run.pace.first else 0.0
        work = partial(baselines.as_entry, name, run.recipe, config, seconds)
        found.append(entry_of(run.journal.once(f"baseline {name}", work)))
        run.say("baselines", f"{name}: {found[-1].shown()}")
    return found


def searched(run: Run, epochs: int, seconds: float) -> list[Genotype]:
    """What every seed of a search finds, the best first; none where the time did not suffice for an epoch."""
    config, out = with_search(run.recipe.config, epochs), run.place("search")
    config = replace(config, budget=within(run.recipe))

    def work() -> list[Any]:
        until = time.monotonic() + seconds
        try:
            begun = records.holds_run(out)
            result = search.run(config, out, resume=begun, quiet=True, until=until)
            ended = [i for i in range(len(result.scores)) if config.seed + i not in result.diverged]
            order = sorted(ended, key=lambda i: -result.score.signed(result.scores[i]))
            return [to_json(result.genotypes[i]) for i in order]
        except loop.Interrupted:
            if time.monotonic() < until:
                raise
            with suppress(UserError):
                return records.read_genotypes(out)
            return []
        except StorageError:
            raise
        except UserError as error:  # its loss is no number, say
            loop.say(f"The search failed: {error}")
            return []
        finally:
            loop.forget_programs()

    write_config(config, run.folder / "configs", "search")
    run.say(
        "search",
        f"{config.method} in the space {config.space}, {config.seeds} seeds, {epochs} epochs.",
        command("search", run.folder / "configs" / "search.json", "--out", out),
    )
    found = [from_json(one) for one in run.journal.once("search", work)]
    return [genotype for i, genotype in enumerate(found) if genotype not in found[:i]]


def within(recipe: Recipe) -> str:
    """The budget of a search: that of the network, and multiply-adds such that it can be trained about as long as the
    first of the fixed ones; empty where a space has no costs."""
    if not recipe.takes_budget:
        return ""
    if COST in recipe.budget:
        return recipe.budget
    space, held = find.resolve("space", recipe.config.space), cross_validation.parts_of(recipe.config, 1)[0]
    cost = budget.cost_of(COST, "", space, *priced_as(held.plan, space, held.task.shape))
    most = MOST_WORK * budget.price(cost, parse(next(iter(recipe.networks.values()))))
    return ",".join(filter(None, (recipe.budget, f"{COST}<{most:.4g}")))


def epochs_of_search(run: Run, seconds: float) -> int:
    """That fit into these seconds, as far as is known before a search."""
    config, paced = run.recipe.config, run.pace
    assert paced is not None
    one = paced.seconds * SUPERNET * config.seeds / run.recipe.seeds
    return max(1, min(config.search.epochs, int((seconds - paced.before) / max(one, 1e-9))))


def with_search(config: Config, epochs: int) -> Config:
    """With so many epochs of the search, half of them a warm-up at most."""
    weights = replace(config.search.weights, warmup_epochs=min(config.search.weights.warmup_epochs, epochs // 2))
    return replace(config, search=replace(config.search, epochs=epochs, weights=weights))


def candidates(run: Run, stage: str, kind: str, named: Sequence[tuple[str, Config, Genotype]]) -> list[Entry]:
    """Networks, each validated once, as long as there is time."""
    found = list[Entry]()
    for name, config, genotype in named:
        known = f"{kind} {name}" in run.journal.pieces
        if not known and run.journal.left < run.each / CAUTION + run.ending:  # what is late by seconds is done
            run.say(stage, f"{name}: no time left for it.")
            continue
        file = name.replace(" ", "_")
        work = partial(networks.as_entry, name, kind, run.recipe, config, genotype, run.allowed())
        found.append(entry_of(run.journal.once(f"{kind} {name}", work)))
        place, cell = write_config(found[-1].settings, run.place(stage), file), run.place(stage) / f"{file}.cell.json"
        atomic_write(cell, json.dumps(to_json(genotype), indent=1))
        seeds = "--seeds", run.recipe.seeds, "--seed", config.seed + networks.OTHER_SEEDS
        folds = ("--folds", run.recipe.folds) if run.recipe.folds > 1 else ()
        run.say(stage, f"{name}: {found[-1].shown()}", command("validate", cell, "--config", place, *folds, *seeds))
    return found


def tuned(run: Run, genotype: Genotype | None, config: Config, seconds: float) -> list[tuple[str, Config, Genotype]]:
    """The best trials of a study. genotype: None, where the study proposes architectures. seconds: for all of it, of
    which a trial has `TRIAL` at most."""
    over = (*("architecture",) * (genotype is None), *axes(run))
    place, out, cell = write_config(config, run.folder / "configs", "tune"), run.place("tune"), list[Any]()
    if genotype is not None:
        cell = ["--cell", run.folder / "configs" / "tune.cell.json"]
        atomic_write(cell[1], json.dumps(to_json(genotype), indent=1))
    folds = ("--folds", run.recipe.folds) if run.recipe.folds > 1 else ()

    def work() -> dict[str, Any]:
        end = time.monotonic() + seconds
        plan = tune.planned(config, over, genotype=genotype, folds=run.recipe.folds)
        try:
            tune.run(plan, out, trials=MOST_TRIALS, until=end, each=TRIAL * seconds)
        except StorageError:
            raise
        except UserError as error:  # none of the trials has a score
            loop.say(str(error))
        loop.forget_programs()
        study = studies.opened(plan, out, "", out.name)
        trials = len(studies.ended(study))
        whole = [trial for trial in studies.ended(study) if trial.state.name == "COMPLETE"]
        whole.sort(key=lambda trial: -plan.score.signed(trial.value))
        best = [
            {
                "name": f"trial {trial.number}",
                "config": to_dict(applied(config, trial.params)),
                "genotype": json.loads(trial.user_attrs["genotype"]),
            }
            for trial in whole[:FINALISTS]
        ]
        return {"trials": trials, "best": best}

    run.say("tune", f"{', '.join(over)}.")
    found = run.journal.once("tune", work)
    words = *cell, "--over", *over, *folds, "--trials", found["trials"], "--out", out
    run.say("tune", f"{found['trials']} trials.", command("tune", place, *words))
    return [(one["name"], from_dict(one["config"]), from_json(one["genotype"])) for one in found["best"]]


def lengthened(run: Run, entry: Entry, trainings: int) -> Entry:
    """The entry with as many epochs as the recipe has, or as fit; trainings: that are to come, and share the time that
    is left. As it is, where epochs are tuned, folds have validated it, or the best epoch is kept."""
    plan, most = entry.settings.retrain, run.recipe.config.retrain.epochs
    chosen = plan.patience or run.recipe.folds > 1 or any(axis.startswith(LENGTH) for axis in run.recipe.over)
    if chosen or entry.failed or plan.epochs >= most:
        return entry
    piece = run.journal.pieces[f"{'baseline' if entry.kind == 'fixed' else entry.kind} {entry.name}"]
    one = CAUTION * piece["seconds"] / plan.epochs / (1 - plan.valid_portion)  # on all that is there to learn from
    fitting = int((run.journal.left - run.reserve) / trainings / max(one, 1e-9))
    epochs = run.journal.once(f"epochs of {entry.name}", lambda: max(plan.epochs, min(most, fitting)))
    return replace(entry, config=to_dict(with_epochs(entry.settings, epochs)))


def axes(run: Run) -> tuple[str, ...]:
    """What is tuned: epochs only where there is time for the most of them."""
    assert run.pace is not None
    all_of_them = run.pace.epochs(run.recipe, run.planned) == run.recipe.config.retrain.epochs
    return tuple(axis for axis in run.recipe.over if all_of_them or not axis.startswith(LENGTH))


def write_config(config: Config, folder: Path, name: str = "config") -> Path:
    """A config as commands take it."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / f"{name}.json", json.dumps(to_dict(config), indent=1))
    return folder / f"{name}.json"
