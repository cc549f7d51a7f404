"""A whole search: its phases one after the other, and what is logged and decided between epochs."""

from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import grid
from dnas.architectures.genotype import Genotype, as_mix, from_json, to_json, to_text
from dnas.architectures.topology import Space, with_operations
from dnas.config import Config, SearchConfig
from dnas.costs import budget
from dnas.errors import UserError
from dnas.runs import devices, diverged, loop, records
from dnas.runs.weights import started_from
from dnas.search import ground_truth, limits, tradeoff
from dnas.search.asked import Asked, undone
from dnas.search.bilevel import phase_rate
from dnas.search.method import Method, Outcome, adapted
from dnas.search.outcomes import entropy_of, seen, turned
from dnas.search.phases import carry_over, prune, prune_alphas
from dnas.search.pictures import drawn
from dnas.search.plan import Points, check_phases, plans_of, spans
from dnas.search.result import Result
from dnas.search.select import norms
from dnas.search.stage import Stage, steps_per_epoch
from dnas.tasks.task import Task
from dnas.training.epoch import measured
from dnas.types import Mix, SearchState, Tree


class Job:
    """A whole search: its phases one after the other, and what is logged and decided between epochs."""

    def __init__(self, config: Config, space: Space, method: Method, task: Task, quiet: bool, points: Points = ()):
        """points: `config.search` at every point of the grid."""
        self.config, self.task, self.quiet = config, task, quiet
        self.lacking = [kind for kind in space.cells if kind not in space.contained(config.search.cells)]
        self.unlimited, self.space = space, space.within(config.search.cells)
        space = self.space
        self.unadapted, self.limits = method, limits.of_config(config, space, task)
        self.tradeoff = tradeoff.of_config(config, space, task)
        method = self._whole(space, config.search)
        self.method, self.phases = method, method.phases(space, config.search)
        if method.maximum_rollback and (config.seeds > 1 or config.checkpoint_epochs > 1):
            raise UserError(
                f"Method '{config.method}' goes back to checkpoints of a search: set seeds and checkpoint_epochs to 1."
            )
        at = [self._whole(space, point).phases(space, point) for point in points]
        self.points = plans_of(config, self.phases, at)  # by phase
        check_phases(config, self.unlimited, space, self.phases, self._adapted, task)
        self.truth = ground_truth.of_space(self.unlimited)
        self.index, self.spans = 0, spans(self.phases, task)
        for phase, span, plans in zip(self.phases, self.spans, self.points, strict=True):
            for plan in plans or (phase.config,):
                phase_rate(plan, steps_per_epoch(phase, task), span)  # no later than now
        self.stage = self._stage(0, space)  # before the folder: what cannot be built leaves none
        self.genotypes: list[Genotype] = []
        self.scores: list[float] = []  # of the task's measure that counts
        self.notes: list[list[dict]] = [[] for _ in range(config.seeds)]  # of every seed, one per epoch
        self.stopped: dict[int, int] = {}  # seed -> the epoch whose genotype counts
        self.diverged: dict[int, int] = {}  # seed -> the step of the first loss that is no number
        self.undone = Counter[str]()  # what the next row says of epochs that are gone

    def _adapted(self, index: int, space: Space) -> Method:
        """The method for the space that is left in a phase."""
        plan = self.phases[index].config
        known = space is self.space and plan == self.config.search
        return self.method if known else self._whole(space, plan)

    def _whole(self, space: Space, plan: SearchConfig) -> Method:
        """The method with all its pieces."""
        method = limits.priced(adapted(self.unadapted, space, plan), space, self.config, self.task)
        if self.tradeoff is not None:
            method = tradeoff.applied(method, self.tradeoff, space, self.config)
        return method if self.limits is None else limits.applied(method, budget.on(self.limits, space), self.config)

    def _stage(self, index: int, space: Space) -> Stage:
        method, phase = self._adapted(index, space), self.phases[index]
        return Stage(self.config, method, phase, space, self.task, self.spans[index], index, self.points[index])

    def go(self, record: records.Run, resume: bool, profile: Path | None, until: float, report: bool = True) -> Result:
        self.record = record
        record.maximum_rollback = self.method.maximum_rollback
        progress = self._restored(resume)
        loop.say(self._headline(progress.state.weights), self.quiet)
        if self.lacking:
            cells = f"{self.config.search.cells} cell" + "s" * (self.config.search.cells > 1)
            kinds = " and no ".join(self.lacking)
            loop.say(f"A supernet of {cells} contains no {kinds} cell: none is searched (--search.cells).", self.quiet)
        while True:
            stage, span = self.stage, self.spans[self.index]
            number = f" {self.index + 1}/{len(self.phases)}" if len(self.phases) > 1 else ""
            if not self._ended():
                progress = loop.drive(
                    self.record,
                    progress,
                    stage.advanced,
                    self._finish_epoch,
                    epochs=stage.plan.epochs,
                    steps_per_epoch=stage.steps,
                    title=f"search {self.config.method}{number}",
                    command="search",
                    quiet=self.quiet,
                    profile=profile,
                    first=(span.start, span.epoch),
                    until=until,
                    extra=self._extra,
                )
            if self._ended() or self.index + 1 == len(self.phases):
                break
            progress = self._next_phase(progress)
        self._conclude(progress)
        result = Result(
            self.record.folder,
            self.config,
            tuple(self.genotypes),
            tuple(self.scores),
            self.task.score,
            {self.config.seed + i: step for i, step in self.diverged.items()},
        )
        if report and devices.is_first_host():
            drawn(result, self.space, self.tradeoff)
        return result

    def _ended(self) -> bool:
        return len(self.stopped.keys() | self.diverged.keys()) == self.config.seeds

    def _extra(self) -> dict[str, Any]:
        """What a checkpoint notes beside the state."""
        kept = {kind: [list(names) for names in cell.operations] for kind, cell in self.stage.space.cells.items()}
        stopped = {str(seed): epoch for seed, epoch in self.stopped.items()}
        noted = {"notes": self.notes, "stopped": stopped, "undone": self.undone}
        return {"phase": self.index, "operations": kept} | noted

    def _restored(self, resume: bool) -> loop.Progress:
        first = self.stage

        def target(extra):  # again for an older checkpoint, where the newest is damaged
            self.index = extra.get("phase", 0)
            if not self.index:
                self.stage = first
                return first.target(False)
            self.stage = self._stage(self.index, with_operations(first.space, extra["operations"]))
            return self.stage.target(any(p.keep for p in self.phases[: self.index + 1]))

        found = self.record.restore(target) if resume else None
        if found is None:
            begun, source = self.stage.init(self.stage.seeds), self.config.weights_from
            return started_from(source, begun) if source else begun
        progress, extra = found
        self.notes = extra.get("notes", self.notes)
        self.stopped = {int(seed): epoch for seed, epoch in extra.get("stopped", {}).items()}
        self.undone = Counter(extra.get("undone", {}))
        noted = diverged.of_rows(records.read_metrics(self.record.folder))
        self.diverged = {seed - self.config.seed: step for seed, step in noted.items()}
        loop.say(f"Resuming at step {extra['step']}.", self.quiet)
        return progress

    def _next_phase(self, progress: loop.Progress) -> loop.Progress:
        """Prune, build the next supernet, and carry the state over or begin anew."""
        old, self.index = self.stage, self.index + 1
        phase = self.phases[self.index]
        state = devices.fetch(progress.state._replace(key=jax.random.key_data(progress.state.key)))
        mixes = self._mixes(progress.state)
        keep = phase.keep or max(max(map(len, cell.operations)) for cell in old.space.cells.values())
        if self.limits is not None and not self.genotypes:  # resumed after the last epoch
            self._discretise(progress.state, [Asked(old, progress.state, i) for i in range(self.config.seeds)])
        pruned = prune(old.space, mixes, keep, self.genotypes if self.limits is not None else ())
        self.stage = new = self._stage(self.index, pruned.space)
        fresh = new.init(new.seeds)
        mask = pruned.mask if phase.keep else state.mask
        if phase.restart:
            fresh = fresh._replace(bad_step=progress.bad_step)  # what has diverged does not come back
            return new.begin(fresh, jax.tree.map(jnp.asarray, mask))
        shapes = devices.fetch(fresh.state._replace(key=jax.random.key_data(fresh.state.key)))
        carried = carry_over(state, shapes, (old.build, new.build), pruned, self.config.seed)._replace(
            key=progress.state.key,
            alphas=prune_alphas(state.alphas, old.space, pruned.columns),
            alpha_opt=prune_alphas(state.alpha_opt, old.space, pruned.columns),
            mask=(),
        )
        if new.method.teacher and not carried.teacher:
            carried = carried._replace(teacher=jax.tree.map(np.array, carried.weights))
        if phase.begins is not None:
            begun = jax.vmap(partial(phase.begins, new.space))(carried._replace(key=(), weight_opt=shapes.weight_opt))
            carried = devices.fetch(begun)._replace(key=carried.key)
        like = fresh.state._replace(mask=())
        placed = jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), carried, like)
        return new.begin(progress._replace(state=placed), jax.tree.map(jnp.asarray, mask))

    def _finish_epoch(self, epoch: int, progress: loop.Progress) -> loop.Epoch:
        state, stage, span = progress.state, self.stage, self.spans[self.index]
        asked = [Asked(stage, state, i) for i in range(self.config.seeds)]
        new = diverged.since(devices.fetch(progress.bad_step), self.diverged, self.stopped)
        self.diverged |= new
        mixes, measures = self._discretise(state, asked)
        in_phase = epoch - span.epoch
        step = span.start + in_phase * stage.steps
        outcomes = [self._look(i, epoch, in_phase, asked[i], mixes) for i in range(self.config.seeds)]
        own = {kind: mixes[kind][..., : shape[1]] for kind, shape in stage.space.mix_shapes.items()}
        left = None if self.limits is None else budget.on(self.limits, stage.space)
        searching = in_phase > stage.plan.alphas.warmup_epochs  # else no example of the alphas was looked at
        found = seen(self.task, devices.fetch(progress.sums), self.config.seeds, searching)
        for i, outcome in enumerate(outcomes):
            place = {"step": step, "epoch": epoch, "seed": self.config.seed + i} | grid.row(self.config, "search", i)
            if i in self.diverged:
                if i in new:
                    self.record.log(place | {diverged.NAME: new[i]})
                continue
            self.record.log(
                place
                | found[i]
                | measures[i]
                | {"learning_rate": self._rate(step - 1, i)}
                | {f"entropy_{kind}": entropy_of(m[i]) for kind, m in own.items()}
                | self.truth(self.genotypes[i])
                | limits.row(left, {kind: m[i] for kind, m in mixes.items()}, self.genotypes[i])
                | tradeoff.row(self.tradeoff, stage.space, {kind: m[i] for kind, m in mixes.items()}, self.genotypes[i])
                | {name: value for name, value in outcome.notes.items() if isinstance(value, (int, float))}
                | (asked[i].counts + self.undone)
            )
        self.undone.clear()
        shown = own if self.config.seeds > 1 else {kind: m[0] for kind, m in own.items()}
        self.record.log_mix(step, shown, stage.space, epoch, self.diverged)
        self.record.genotype(epoch, [to_json(g) for g in self.genotypes])
        with suppress(UserError):  # some cells have no text form
            self.record.text("genotype", "\n\n".join(to_text(g) for g in self.genotypes), step)
        if any(outcome.restart is not None for outcome in outcomes):
            return loop.Epoch(None, self._restarted(outcomes[0]))
        return loop.Epoch(self.task.score.signed(np.nanmean(self.scores)), turned(progress, outcomes), self._ended())

    def _rate(self, step: int, i: int) -> float:
        """The learning rate of the weights of one seed."""
        stage, plans = self.stage, self.points[self.index] or (self.stage.plan,)
        trains = self.phases[self.index].trains
        return float(phase_rate(plans[i % len(plans)], stage.steps, stage.span)(step)) if trains else 0.0

    def _look(self, i: int, epoch: int, in_phase: int, asked: Asked, mixes: Mix) -> Outcome:
        """What the between-epoch hook makes of one seed; without a hook nothing follows."""
        stage, outcome = self.stage, Outcome()
        if stage.method.between_epochs is not None and i not in self.diverged:
            mix = {kind: m[i] for kind, m in mixes.items()}
            view = asked.view(self.index, (in_phase, epoch), mix, self.notes[i], self._fits)
            outcome = stage.method.between_epochs(view)
        self.notes[i].append(dict(outcome.notes))
        if outcome.stop is not None and i not in self.stopped:
            self.stopped[i] = outcome.stop
            loop.say(f"Seed {self.config.seed + i} stops; the genotype of epoch {outcome.stop} counts.", self.quiet)
        return outcome

    def _fits(self, mask: Mix, edges: budget.Edges = budget.ANY) -> bool:
        """See `View.fits`."""
        return self.limits is None or budget.leaves(budget.on(self.limits, self.stage.space), mask, edges)

    def _restarted(self, outcome: Outcome) -> loop.Progress:
        """The progress at the end of an earlier epoch of this phase, with the knobs turned."""
        assert outcome.restart is not None
        stage, span = self.stage, self.spans[self.index]
        step = span.start + (outcome.restart - span.epoch) * stage.steps
        rows = records.read_metrics(self.record.folder)
        self.undone = undone(row for row in rows if row["epoch"] > outcome.restart)
        progress, extra = self.record.rewind(step, stage.target(False))
        self.notes = extra["notes"]
        knobs = ", ".join(f"{name} {value:g}" for name, value in outcome.knobs.items())
        loop.say(f"Back to epoch {outcome.restart}, with {knobs}.", self.quiet)
        return turned(progress, [outcome._replace(mask=None)])

    def _discretise(self, state: SearchState, asked: list[Asked]) -> tuple[Mix, list[dict[str, float]]]:
        """Set the genotypes and validation scores of all seeds; gives the mixes [S, E, O] and all measures."""
        stage = self.stage
        mixes = self._mixes(state)
        sums = devices.fetch(stage.evaluate(state, mixes, stage.valid_batches))
        measures = [measured(self.task, sums, i, "valid") for i in range(self.config.seeds)]
        name = f"valid_{self.task.score.name}"
        self.scores = [np.nan if i in self.diverged else row[name] for i, row in enumerate(measures)]

        def genotype(i: int) -> Genotype:
            mix = {kind: m[i] for kind, m in mixes.items()}
            worth = asked[i].worth if i not in self.diverged else lambda *args, **options: 0.0
            return stage.method.discretise(stage.space, mix, worth)

        self.genotypes = [genotype(i) for i in range(self.config.seeds)]
        return mixes, measures

    def _mixes(self, state: SearchState) -> Mix:
        """Of all seeds, on the host [S, E, O]. What has diverged prefers nothing."""
        mixes = devices.fetch(self.stage.mixes(state))
        return {kind: np.where(np.isfinite(m), m, 1 / m.shape[-1]).astype(m.dtype) for kind, m in mixes.items()}

    def _select(self, state: SearchState, asked: list[Asked]) -> None:
        """Set the genotypes that the method chooses by trying several."""
        select = self.stage.method.select
        assert select is not None
        mixes, how = self._mixes(state), norms(self.stage.method.calibration)
        for i in (i for i in range(self.config.seeds) if i not in self.diverged):
            seed, mix = self.config.seed + i, {kind: m[i] for kind, m in mixes.items()}
            with loop.counting(f"selection for seed {seed}", "architectures tried", self.quiet) as count:
                self.genotypes[i] = select(self.stage.space, mix, count(asked[i].worth), seed)
            chosen = as_mix(self.genotypes[i], self.stage.space)
            for kind, rows in chosen.items():  # a supernet may have operations beside the space's
                chosen[kind] = np.pad(rows, ((0, 0), (0, mix[kind].shape[1] - rows.shape[1])))
            self.scores[i] = self.task.score.signed(asked[i].worth(chosen, **how))

    def _conclude(self, progress: loop.Progress) -> None:
        """The genotypes that count: those of the last epoch, of the epoch that a seed went back to, or a selection."""
        asked = [Asked(self.stage, progress.state, i) for i in range(self.config.seeds)]
        if not self.genotypes:  # resumed after the last epoch, whose row has counted it
            self._discretise(progress.state, [Asked(self.stage, progress.state, i) for i in range(self.config.seeds)])
        if self.stage.method.select:
            self._select(progress.state, asked)
        for i, epoch in self.stopped.items():
            rows = records.read_metrics(self.record.folder)
            self.genotypes[i] = from_json(records.read_genotypes(self.record.folder, epoch)[i])
            name = f"valid_{self.task.score.name}"
            self.scores[i] = next(
                row[name] for row in rows if (row["seed"], row["epoch"]) == (self.config.seed + i, epoch)
            )
        if not (self.stopped or self.stage.method.select):
            return
        last = self.spans[-1].epoch + self.phases[-1].config.epochs if not self._ended() else len(self.notes[0])
        self.record.genotype(last, [to_json(g) for g in self.genotypes])
        step = int(devices.fetch(progress.state.step).max())
        name = f"selected_{self.task.score.name}"
        for i, score in enumerate(self.scores):
            if i not in self.diverged:
                said = self.truth(self.genotypes[i]) | asked[i].counts
                self.record.log({"step": step, "epoch": last, "seed": self.config.seed + i, name: score} | said)

    def _headline(self, weights: Tree) -> str:
        seeds = self.config.seeds
        count = sum(leaf.size for leaf in jax.tree.leaves(weights)) // seeds
        return (
            f"Searching '{self.config.space}' with '{self.config.method}' on {self.task.sizes}, "
            f"supernet of {count:,} parameters"
            + f", {seeds} seeds" * (seeds > 1)
            + f", {len(self.phases)} phases" * (len(self.phases) > 1)
            + f" -> {self.record.folder}"
        )
