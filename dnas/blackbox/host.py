"""Runs of a search on the host: any searcher with any evaluator, one trial at a time or as many as there are workers.

Every event is in the journal before the next one (`journal.py`), so a search that was killed goes on: nothing is lost,
and nothing that had ended is evaluated again. A trial that fails has a reason instead of values; its searcher is told
the worst score that the run has seen.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dnas import keys
from dnas.architectures.choices import decode
from dnas.blackbox import adapter, journal, trials
from dnas.blackbox.config import MOST_EVALUATIONS, UNITS
from dnas.blackbox.jobs import REFUSALS, Job
from dnas.blackbox.journal import Began, Ended, Event, Outcome
from dnas.blackbox.searcher import HostSearcher, Proposal
from dnas.blackbox.trials import ROUNDING, Trials
from dnas.blackbox.warmup import Openings
from dnas.blackbox.workers import Pool, Work
from dnas.costs import budget
from dnas.errors import StorageError, UserError
from dnas.runs import loop


def tried(
    job: Job, pool: Pool, folder: Path | None = None, quiet: bool = True, opening: Openings | None = None
) -> Trials:
    """All runs of a job, one after the other; what the journal of a folder has of them is not done again. opening: what
    they begin with.

    Errors: `UserError` where nothing that was evaluated in a run counts; `StorageError` for a damaged journal.
    """
    events = [] if folder is None else journal.read(folder)
    write = journal.writer(folder) if folder is not None else lambda event: None
    of_runs: dict[int, list[Event]] = {}
    for event in events:
        of_runs.setdefault(event.run, []).append(event)
    searcher, runs = adapter.searchers(job, opening), list[_Run]()
    with _bar(job, quiet) as moved:
        for number in range(job.config.runs):
            run = _Run(job, number, searcher(number), 0.0 if opening is None else float(opening.seconds[number]))
            run.replay(of_runs.get(number, []))
            _drive(run, pool, write, partial(moved, number))
            run.check()
            runs.append(run)
    return _as_trials(job, runs)


def _drive(run: "_Run", pool: Pool, write: Callable[[Event], None], moved: Callable[[float], None]) -> None:
    """A run to its end."""
    for trial, proposal in run.open.items():  # had begun when the search was interrupted
        pool.submit(run.work(trial, proposal))
    while not run.over:
        moved(run.used)
        while len(run.open) < pool.size and (began := run.ask()) is not None:
            write(began)
            pool.submit(run.work(began.trial, began.proposal))
        if not run.open:
            break
        trial, outcome = pool.result()
        ended = Ended(run.number, trial, run.judged(run.priced(trial, outcome)))
        write(ended)
        run.tell(ended)
    pool.drop()
    moved(run.job.budget.amount)


class _Run:
    """One run: its searcher, the trials that have begun and not ended, and those that have ended, in that order.
    before: seconds that a warm-up has spent."""

    def __init__(self, job: Job, number: int, searcher: HostSearcher, before: float):
        self.job, self.number, self.searcher = job, number, searcher
        self.open, self.ended = dict[int, Proposal](), list[tuple[Proposal, Outcome]]()
        self.scores = list[np.ndarray]()
        self.began, self.granted = 0, 0.0  # trials, and their fidelities
        self.before = self.spent = before  # seconds, and those of what has ended too
        self.done = 0.0  # fidelities of what has ended
        self.closed = False

    @property
    def used(self) -> float:
        """Of the budget, in its unit."""
        return self.spent if self.timed else self.done

    @property
    def timed(self) -> bool:
        """Whether the budget is one of seconds."""
        return self.job.budget.unit != UNITS[0]

    @property
    def over(self) -> bool:
        """Whether nothing that ends from now on counts."""
        return self.timed and self.spent > self.job.budget.amount

    def ask(self) -> Began | None:
        """The next trial; None where there is none now, or for good."""
        if self.closed or self.began >= MOST_EVALUATIONS:
            return None
        proposal = self._proposed()
        if proposal is None:
            if not self.open:
                raise RuntimeError(f"The searcher '{self.job.config.searcher}' proposes nothing and waits for nothing.")
            return None
        if not self.timed and self.granted + proposal.fidelity > self.job.budget.amount + ROUNDING:
            self.closed = True
            return None
        return self._begin(proposal)

    def tell(self, event: Ended) -> None:
        """What became of a trial."""
        proposal, outcome = self.open.pop(event.trial), event.outcome
        self.ended.append((proposal, outcome))
        self.spent += outcome.seconds
        self.done += proposal.fidelity
        own = None if outcome.failed else np.array(self.job.columns(outcome.values), np.float64)
        self.scores.append(np.full(len(self.job.objectives), -np.inf) if own is None else own)
        self.searcher.tell(proposal, self._worst() if own is None else own)

    def priced(self, trial: int, outcome: Outcome) -> Outcome:
        """With the objectives that are costs of the network."""
        if outcome.failed or not (self.job.prices or self.job.rewards):
            return outcome
        genotype = decode(self.open[trial].architecture, self.job.evaluator.space)
        costs = {name: budget.price(cost, genotype) for name, cost in self.job.prices.items()}
        values = {**outcome.values, **costs}
        for name, reward in self.job.rewards.items():
            values[name] = reward.of(values[reward.score], values[reward.cost])
        return outcome._replace(values=values)

    def judged(self, outcome: Outcome) -> Outcome:
        """A failure where an objective is not a number."""
        bad = [name for name in self.job.objectives if not outcome.failed and not np.isfinite(outcome.values[name])]
        return outcome._replace(failed=f"Its {bad[0]} is {outcome.values[bad[0]]}.") if bad else outcome

    def work(self, trial: int, proposal: Proposal) -> Work:
        """What a worker is given."""
        draws = keys.generator(self.job.config.seed, f"evaluation {self.number} {trial}")
        return Work(trial, proposal.architecture, proposal.fidelity, int(draws.integers(2**31)))

    def replay(self, events: Iterable[Event]) -> None:
        """Ask and tell as it was. Errors: `StorageError` where the searcher proposes something else."""
        for event in events:
            if isinstance(event, Ended):
                if event.trial not in self.open:
                    raise self._other(event.trial)
                self.tell(event)
                continue
            proposal, known = self._proposed(), event.proposal
            if proposal is None or event.trial != self.began or proposal.fidelity != known.fidelity:
                raise self._other(event.trial)
            if (proposal.architecture != known.architecture).any():
                raise self._other(event.trial)
            self._begin(event.proposal)

    def check(self) -> None:
        """Errors: `UserError` where nothing counts."""
        counts = self.ended if not self.timed else self.ended[: self.within]
        if not counts:
            took = self.ended[0][1].seconds
            raise UserError(
                f"The budget '{self.job.config.budget}' is less than one evaluation by '{self.job.config.evaluator}', "
                f"which took {took:,.1f} s: give more, and another --out."
            )
        if all(outcome.failed for _, outcome in counts):
            first = counts[0][1].failed
            raise UserError(f"All {len(counts)} evaluations of run {self.number} failed, the first: {first}")

    @property
    def within(self) -> int:
        """How many trials end within a budget of seconds."""
        spent = self.before + np.cumsum([outcome.seconds for _, outcome in self.ended])
        return int((spent <= self.job.budget.amount).sum())

    def _proposed(self) -> Proposal | None:
        """What the searcher asks for next that is within the limits. Of anything else it is told the worst score so
        far, and it is no trial; a traced one proposes nothing else (`adapter.py`).

        Errors: `UserError` where `REFUSALS` in a row are beyond.
        """
        for _ in range(REFUSALS):
            proposal = self.searcher.ask()
            if proposal is None or self.job.allows(proposal.architecture):
                return proposal
            self.searcher.tell(proposal, self._worst())
        raise self.job.refused

    def _begin(self, proposal: Proposal) -> Began:
        event = Began(self.number, self.began, proposal)
        self.open[event.trial] = proposal
        self.began += 1
        self.granted += proposal.fidelity
        return event

    def _worst(self) -> np.ndarray:
        """Of each objective the worst score so far [M]."""
        known = [scores for scores in self.scores if np.isfinite(scores).all()]
        return np.min(known, 0) if known else self.job.bad

    def _other(self, trial: int) -> StorageError:
        return StorageError(
            f"Trial {trial} of run {self.number} in {journal.FILE} is not what the searcher "
            f"'{self.job.config.searcher}' proposes: the file or dnas was changed, choose another --out."
        )


def _as_trials(job: Job, runs: list[_Run]) -> Trials:
    """The rows of all runs, filled up to the length of the longest."""
    rows, most = len(runs), max(len(run.ended) for run in runs)
    architectures = np.zeros((rows, most, len(job.problem.decisions.options)), np.int32)
    scores = np.full((rows, most, len(job.objectives)), -np.inf)
    seconds, fidelities = np.full((rows, most), np.inf), np.ones((rows, most))
    failed: dict[tuple[int, int], str] = {}
    for r, run in enumerate(runs):
        for t, (proposal, outcome) in enumerate(run.ended):
            architectures[r, t], fidelities[r, t] = proposal
            scores[r, t], seconds[r, t] = run.scores[t], outcome.seconds
            if outcome.failed:
                failed[r, t] = outcome.failed
        seconds[r, :1] += run.before
    return trials.counted(architectures, scores, seconds, job.budget, job.config.past_budget, fidelities, failed)


@contextmanager
def _bar(job: Job, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """Gives what shows how much of the budget of a run is used."""
    amount, unit, runs = job.budget.amount, job.budget.unit, job.config.runs
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[note]}")
    times = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, *times, console=loop.console, disable=quiet or not loop.console.is_terminal) as bar:
        task = bar.add_task("blackbox", total=runs * amount, note="")

        def moved(run: int, used: float) -> None:
            used = min(used, amount)
            note = f"run {run + 1}/{runs}, {used:,.4g} of {amount:,.4g} {unit}"
            bar.update(task, completed=run * amount + used, note=note)

        yield moved
