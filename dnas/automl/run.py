"""From data to a network in use: look, validate baselines, search, tune, train, test once, export.

Every stage calls what a command calls, and prints that command; what it leaves stands in a folder of its own, and in
the journal (`auto.json`). summary.json: what came of it all. report.html: a page.
"""

import importlib
import json
import pkgutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from dnas import data as datasets
from dnas import find, paths
from dnas.architectures import flow
from dnas.architectures.genotype import Genotype, to_json
from dnas.automl import final, recipes, stages
from dnas.automl import page as findings
from dnas.automl.journal import FILE, MINUTE, Journal
from dnas.automl.look import examine
from dnas.automl.networks import NO_TIME, TOO_LONG, Entry, best_of, with_epochs
from dnas.automl.outcome import page, summed_up
from dnas.automl.recipes.protocol import Recipe
from dnas.automl.stages import Run, command
from dnas.config import Config
from dnas.errors import UserError
from dnas.files import atomic_write, storage
from dnas.runs import loop
from dnas.tune.plan import LENGTH

MOST_MINUTES = 100_000.0
LEAST = 0.05  # of the time has the training of the network that is kept at least, however late it is
TUNED_PART = 3  # of the epochs that trials of a study have, at least, where they do not tune them
TRIALS = 20  # for so many there is to be time; what is left of it makes them longer


def run(
    data: str | Path,
    out: str | Path,
    *,
    minutes: float | None = None,
    budget: str = "",
    target: str | None = None,
    keep: Sequence[str] = (),
    seed: int = 0,
    resume: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Make the best network of data that the time allows, in the folder `out`; gives what summary.json says.

    minutes: of work, of all calls that go on with a folder together; None: as before, or half an hour. budget: of the
    network, as `dnas search` takes it. target: of a table. keep: its columns that no check leaves out.
    Errors: `UserError`; `loop.Interrupted`.
    """
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise UserError(f"--minutes must be above 0 and at most {MOST_MINUTES:,.0f}, not {minutes:g}.")
    loop.prepare_process()
    folder = Path(out)
    _prepare(folder, resume)
    order = {"data": str(data), "target": target, "keep": list(keep), "budget": budget, "seed": seed}
    try:
        with paths.locked(folder, "dnas auto"):
            journal = Journal(folder, order, minutes)
            try:
                return _stages(folder, journal, quiet)
            finally:
                journal.write()
    except (KeyboardInterrupt, loop.Interrupted):
        again = command("auto", data, "--out", folder, "--resume")
        raise loop.Interrupted(f"Stopped; what is finished is in {folder}. Go on with: {again}") from None


def _prepare(folder: Path, resume: bool) -> None:
    """Errors: `UserError` for a folder that holds something else, or a run that is not to go on."""
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")} if folder.is_dir() else set()
    if resume and FILE not in names:
        raise UserError(f"{folder} holds no automatic run to go on with: check --out, or leave out --resume.")
    if not resume and names:
        raise UserError(f"{folder} is not empty: add --resume to go on with what is in it, or choose another --out.")
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _stages(folder: Path, journal: Journal, quiet: bool) -> dict[str, Any]:
    order = journal.order
    seen = journal.once("look", lambda: _looked(folder, order))
    minutes = journal.once("minutes", lambda: journal.minutes)  # of the first call: what they decide stays
    recipe = recipe_of(seen["data"], seen["task"], minutes=minutes, budget=order["budget"], seed=order["seed"])
    run = Run(folder, journal, recipe, MINUTE * minutes, quiet)
    words = ["--target", order["target"]] * bool(order["target"]) + ["--keep", *order["keep"]] * bool(order["keep"])
    run.say("look", f"{seen['data']}: {seen['task'].replace('_', ' ')}.", command("look", order["data"], *words))
    for sentence in (*(finding["sentence"] for finding in seen["findings"]), *recipe.reasons):
        run.say("look", sentence)
    run = replace(run, pace=stages.paced(run))
    entries = stages.fixed(run, seen["data"])
    run = replace(run, longest=stages.longest(run, entries))
    entries += _found(run)
    entries += _tuned(run, entries)
    winner = best_of([entry for entry in entries if entry.genotype is not None])
    if winner is None and (order["budget"] or entries[0].failed not in (NO_TIME, TOO_LONG)):
        within = f" within the budget '{order['budget']}'" * bool(order["budget"])
        raise UserError(f"No network could be validated{within}; {entries[0].name}: {entries[0].failed.rstrip('.')}.")
    return _ended(run, winner or entries[0], entries)  # where there is no time to validate any: the first fixed one


def recipe_of(data: str, task: str, *, minutes: float = 30.0, budget: str = "", seed: int = 0) -> Recipe:
    """What is tried for data. Errors: `UserError` for tasks that have no recipe."""
    known = sorted(module.name for module in pkgutil.iter_modules(recipes.__path__) if module.name != "protocol")
    if task not in known:
        raise UserError(
            f"dnas auto has no recipe for the task '{task}' of '{data}', only for {', '.join(known)}: use dnas search."
        )
    module = importlib.import_module(f"{recipes.__name__}.{task}")
    made: Recipe = module.recipe(datasets.load(data), minutes=minutes, seed=seed)
    return replace(made, budget=budget, config=replace(made.config, data=data))


def _looked(folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    examined = examine(order["data"], target=order["target"], keep=order["keep"])
    examined.look.require()
    place = folder / stages.PLACES["look"]
    place.mkdir(exist_ok=True)
    findings.write(examined, place / "findings.html")
    return json.loads(json.dumps(asdict(examined.look)))


def _found(run: Run) -> list[Entry]:
    """Search, and validate what is found."""
    share = run.recipe.shares.search * run.total
    begun = "search epochs" in run.journal.pieces  # by a call before this one: what it found so far counts
    if run.journal.left < share + run.each + run.ending and not begun:
        run.say("search", "no time left for a search.")
        return []
    epochs = run.journal.once("search epochs", lambda: stages.epochs_of_search(run, share))
    seconds = min(stages.PATIENCE * share, run.journal.left - run.each - run.ending)
    cells = stages.searched(run, epochs, seconds)
    space, count = find.resolve("space", run.recipe.config.space), run.recipe.config.retrain.cells
    named = list[tuple[str, Config, Genotype]]()
    for number, cell in enumerate(cells, 1):
        if flow.is_constant(cell, space, count):
            run.say("search", f"found {number}: its answer does not depend on the input.")
        else:
            named.append((f"found {number}", run.settings(cell), cell))
    return stages.candidates(run, "candidates", "found", named)


def _tuned(run: Run, entries: list[Entry]) -> list[Entry]:
    """Tune, in all the time that is left, and validate the best trials."""
    best = best_of([entry for entry in entries if entry.genotype is not None])
    finalists = stages.FINALISTS if run.journal.left > 2 * (stages.FINALISTS * run.each + run.ending) else 1
    seconds = run.journal.left - finalists * run.each - run.ending
    config = run.recipe.config if best is None else replace(run.recipe.config, retrain=best.settings.retrain)
    full, lengths = config.retrain.epochs, any(axis.startswith(LENGTH) for axis in run.recipe.over)
    if not lengths:
        fitting = int(full * seconds * run.recipe.seeds / (TRIALS * run.each))
        least = max(run.recipe.least_epochs, full // TUNED_PART)
        config = with_epochs(config, run.journal.once("epochs of trials", lambda: min(full, max(least, fitting))))
    cheap = run.each / run.recipe.seeds / (1 if lengths else TUNED_PART)
    begun = run.place("tune").exists()  # by a call before this one: its trials count
    if (seconds < stages.LEAST_TRIALS * cheap or best is None) and not begun:
        run.say("tune", "no time left for tuning." if best else "no network was validated, so there is none to tune.")
        return []
    genotype = None if run.recipe.architectures or best is None else best.network
    trials = stages.tuned(run, genotype, config, seconds)[:finalists]
    if not lengths:
        trials = [(name, with_epochs(one, full), cell) for name, one, cell in trials]
    return stages.candidates(run, "tuned", "tuned", trials)


def _ended(run: Run, winner: Entry, entries: list[Entry]) -> dict[str, Any]:
    """Train the best network and the best baselines on the whole train part, test, export, sum up."""
    rivals = _rivals(run, winner, entries)
    validated, winner = winner.settings.retrain.epochs, stages.lengthened(run, winner, 1 + bool(rivals))
    epochs = winner.settings.retrain.epochs
    longer = f" It is trained for {epochs} epochs now, where it had {validated}." if epochs > validated else ""
    out, cell = run.place("network"), run.folder / "configs" / "network.cell.json"
    place = stages.write_config(final.whole(winner.settings), run.folder / "configs", "network")
    atomic_write(cell, json.dumps(to_json(winner.network), indent=1))
    run.say(
        "network",
        f"{winner.name}: there was no time to validate any."
        if winner.failed
        else f"{winner.name} is the best by validation.{longer}",
        command("retrain", cell, "--config", place, "--out", out),
    )
    seconds = max(run.journal.left - run.reserve, LEAST * run.total)
    tests = {winner.name: run.journal.once("network", lambda: final.trained(winner, out, seconds))}
    cut = "" if tests[winner.name]["ended"] else " The time was up before its last epoch."
    run.say("network", f"Tested, once.{cut}", command("test", out))
    files = run.journal.once("export", lambda: final.exported(out, run.place("export")))
    run.say("export", ", ".join(files), command("export", out, "--out", run.place("export")))
    tests |= _tests(run, rivals, entries)
    exported = loop.quoted(run.place("export"))
    winner = replace(winner, parameters=tests[winner.name]["parameters"])
    entries = [winner if entry.name == winner.name else entry for entry in entries]
    summary = summed_up(run.recipe.config.data, run.journal.seconds, winner, entries, tests, exported)
    atomic_write(run.folder / "summary.json", json.dumps(summary, indent=1))
    page(run.folder, summary, run.journal.pieces["look"]["value"], run.journal.told)
    return summary


def _rivals(run: Run, winner: Entry, entries: list[Entry]) -> list[Entry]:
    """The fixed networks that are tested, the best first: one, or all where they are small."""
    rivals = [entry for entry in entries if entry.kind == "fixed" and entry.name != winner.name and not entry.failed]
    rivals.sort(key=lambda entry: entry.key, reverse=True)
    return rivals if run.recipe.folds > 1 else rivals[:1]


def _tests(run: Run, rivals: list[Entry], entries: list[Entry]) -> dict[str, Any]:
    """The tests of the baselines, as many as there is time for."""
    tests = dict[str, Any]()
    for entry in [*(entry for entry in entries if entry.kind == "learner" and not entry.failed), *rivals]:
        seconds, name = run.journal.left, f"test {entry.name}"
        if seconds <= 0 and name not in run.journal.pieces:
            run.say("network", f"no time left to test {entry.name}.")
            continue
        if entry.kind == "learner":
            work = partial(final.learned, entry, run.recipe.config, seconds)
        else:
            longer, place = stages.lengthened(run, entry, 1), run.place("baselines") / entry.name.replace(" ", "_")
            work = partial(final.trained, longer, place, seconds)
        found = run.journal.once(name, work)
        if found["ended"]:
            tests[entry.name] = found
        else:
            run.say("network", f"no time left to test {entry.name}.")
    return tests
