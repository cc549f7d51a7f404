"""A search, loaded and used: the supernet with its mix."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from dnas import data as datasets
from dnas import find
from dnas.architectures.genotype import Genotype, from_json
from dnas.architectures.topology import with_operations
from dnas.config import Config
from dnas.errors import UserError
from dnas.loading.loaded import Evaluation, Loaded, refuse_changed, refuse_part
from dnas.loading.looks import in_tokens_of, looks_of
from dnas.loading.summary import parts
from dnas.nets.functional import Deferred
from dnas.runs import checkpoints, devices, records
from dnas.runs import weights as weights_of
from dnas.search.method import adapted
from dnas.search.plan import spans
from dnas.search.stage import Stage
from dnas.tasks import binding
from dnas.tasks.task import Task
from dnas.types import Alphas, Mix, SearchState


@dataclass(frozen=True, kw_only=True)
class FoundSupernet(Loaded):
    """The supernet that a search left, that of the last phase it came to; `dnas.load` makes it.

    network: of what the task makes of inputs, and of a mix: `found.network(x, found.mix)`.
    genotypes: of all seeds of the run. stage, state, mixes: the compiled phase, and of all seeds what it computes with.
    """

    genotypes: tuple[Genotype, ...]
    stage: Stage
    state: SearchState
    mixes: Mix

    @property
    def genotype(self) -> Genotype:
        """That of this seed."""
        return self.genotypes[self.seed - self.config.seed]

    @property
    def mix(self) -> Mix:
        """What genotypes are read from {kind: [E, O]}, columns in the order of the operations that are left."""
        return jax.tree.map(lambda leaf: leaf[self.seed - self.config.seed], self.mixes)

    @property
    def evaluation_mix(self) -> Mix:
        """What `predict` and `evaluate` multiply by: the mix, or where training saw one path the strongest operations
        alone."""
        return self.args[0]

    @property
    def alphas(self) -> Alphas:
        """The raw parameters of this seed."""
        return jax.tree.map(lambda leaf: leaf[self.seed - self.config.seed], self.state.alphas)

    @cached_property
    def network(self) -> Any:
        """A Flax module in evaluation, of inputs and a mix, also under `jax.jit`. Errors: `UserError` where a method
        has several side by side."""
        if self.stage.method.members > 1:
            raise UserError(
                f"The search in {self.folder} has {self.stage.method.members} supernets side by side, no module: "
                "use found.predict, or found.functional."
            )
        return super().network

    def summary(self) -> str:
        """A table of the parts with their parameters and shapes, and of what is left on the edges of each kind."""
        left = {}
        for kind, cell in self.stage.space.cells.items():
            names = dict.fromkeys(name for names in cell.operations for name in names)
            left[f"{kind}: {len(cell.edges)} rows of the mix"] = ", ".join(names)
        return parts(self.weights, left)

    def evaluate(self, *, part: str = "valid") -> Evaluation:
        """On the validation part, as the search does after every epoch, or on the train part. There is no other."""
        refuse_part(part, ("train", "valid"), self.folder)
        with jax.enable_x64(self.config.dtype == "float64"):
            batches = self.stage.valid_batches if part == "valid" else self._batches(part)
            sums = devices.fetch(self.stage.evaluate(self.state, self.mixes, batches))
        own = {name: tuple(leaf[self.seed - self.config.seed] for leaf in leaves) for name, leaves in sums.items()}
        return self._answered(self.task.measures(own), self.task, part)

    def _batches(self, part: str) -> Any:
        return self.stage.layout.replicate(self.task.evaluation(part))

    def _saved(self) -> dict[str, Any]:
        return super()._saved() | {"alphas": self.alphas, "mix": self.mix}


def load_search(folder: Path, config: Config, index: int, given: Any) -> FoundSupernet:
    """index: of the seed. given: the data set, where no name stands for it."""
    description = records.read_description(folder, "data.json")
    task, plan = _bound(config, description, folder, given)
    _, about, data = weights_of.read_newest(folder)
    with jax.enable_x64(config.dtype == "float64"):
        stage, masked = _stage(config, plan, task, about.get("extra", {}))
        target = stage.target(masked)
        checkpoints.check_leaves(about["leaves"], target, folder)
        state = checkpoints.unpack(about["leaves"], data, target).state
        mixes = devices.fetch(stage.mixes(state))
        one, mix = jax.tree.map(lambda leaf: leaf[index], (state._replace(key=()), mixes))
        counted = stage.counted(mix)
    return FoundSupernet(
        folder=folder,
        config=config,
        seed=config.seed + index,
        task=task,
        given=given,
        looks=looks_of(description, folder) if task.takes == "images" else None,
        functional=stage.network,
        weights=one.weights,
        stats=one.stats,
        layout=nnx.graphdef(stage.build(Deferred(params=jax.random.key(0)))),
        description=description,
        args=(counted,),
        genotypes=tuple(map(from_json, records.read_genotypes(folder))),
        stage=stage,
        state=state,
        mixes=mixes,
    )


def _bound(config: Config, description: Any, folder: Path, given: Any) -> tuple[Task, Any]:
    """The task of the run on its data set, which must be what it was, and the search as the data bear it."""
    dataset = in_tokens_of(datasets.load(config.data if given is None else given), description)
    task, plan = binding.bind(dataset, config, "search", find.resolve("space", config.space))
    refuse_changed(task.described(), description, config, folder)
    return task, plan


def _stage(config: Config, plan: Any, task: Task, extra: Any) -> tuple[Stage, bool]:
    """The phase that a checkpoint is of, and whether its state has a mask; extra: what it notes."""
    fit = replace(config, search=plan)
    space = find.resolve("space", fit.space).within(plan.cells)
    method, index = find.resolve("method", fit.method), extra.get("phase", 0)
    phases = adapted(method, space, plan).phases(space, plan)
    if index:
        space = with_operations(space, extra["operations"])
    phase = phases[index]
    stage = Stage(fit, adapted(method, space, phase.config), phase, space, task, spans(phases, task)[index], index)
    return stage, bool(index) and any(p.keep for p in phases[: index + 1])
