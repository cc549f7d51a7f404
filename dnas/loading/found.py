"""A training that has ended, loaded and used.

Of images all that is needed lies in the run folder: the genotype, the newest checkpoint, and in data.json how images
were normalised. Other tasks read the data set of the run again, and refuse one that has changed.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from dnas import data as datasets
from dnas import find, retrain
from dnas.architectures.genotype import Genotype, check, from_json
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.data._arrays import as_labels
from dnas.data._streamed import Streamed
from dnas.errors import UserError
from dnas.loading import finetuning, mistakes
from dnas.loading.loaded import Evaluation, Loaded, changed, refuse_changed, refuse_part
from dnas.loading.looks import images_as_test, in_tokens_of, looks_of, no_images
from dnas.nets.functional import Deferred, functionalize
from dnas.runs import records
from dnas.runs import weights as weights_of
from dnas.runs.devices import Layout
from dnas.tasks import binding, image_stream
from dnas.tasks.images import training_splits
from dnas.tasks.task import Task, Writing
from dnas.training.feed import measured_part, summed
from dnas.training.job import evaluate_one, network_of, network_size_of


@dataclass(frozen=True, kw_only=True)
class Found(Loaded):
    """A trained network and what it takes to use it; `dnas.load` makes it.

    network: of what the task makes of inputs, normalised images [B, H, W, C] say, -> Outputs.
    """

    genotype: Genotype

    def evaluate(self, data: Any = None, *, part: str = "test") -> Evaluation:
        """On the test part of the run's data set, or another part. Of images also of another data set of the same
        classes, by name or as a `Dataset`; or on all of the images and labels (x, y). Of translations also BLEU and
        chrF, in percent, with the signatures of sacrebleu.

        Errors: `UserError` for data of other images or classes, a part that there is not, and for the run's own data
        set if it has changed.
        """
        if self.looks is not None:
            task, name = self._images(data, part), "test"
        elif data is not None:
            raise UserError(f"The network of {self.folder} is tested on the data of its run only: leave out data.")
        else:
            parts = tuple(name for name in ("train", "valid", "test") if self.task.steps(name, 1) > 0)
            refuse_part(part, parts, self.folder)
            task, name = self.task, part
        with jax.enable_x64(self.config.dtype == "float64"):
            found = measured_part(task, Layout(1), name)
            measured, state = jax.jit(partial(evaluate_one, self.functional, task.pure)), (self.weights, self.stats)
            sums = summed(jax.device_get(measured(state, piece)) for piece in found.pieces())
        measures = task.measures(sums)
        if isinstance(task, Writing):
            texts = [one.text for one in self.translated(task.sources(name))]
            scores, signatures = task.scored(texts, name)
            worst = mistakes.least_alike(task.compared(texts, name))
            return Evaluation(measures | scores, mistakes=worst, signatures=signatures)
        return self._answered(measures, task, name)

    def _images(self, data: Any, part: str) -> Task:
        """The task whose test part are these data."""
        looks = self.images
        if isinstance(data, tuple | list) and len(data) == 2:
            x, y = self.task.inputs(data[0]), as_labels(data[1], "The labels")
            if len(x) != len(y) or not len(x) or y.max() >= len(looks.classes):
                raise UserError(
                    f"Here are {len(x)} images and {len(y)} labels up to {y.max(initial=0)}: give as many of both, of "
                    f"the {len(looks.classes)} classes of {self.folder}."
                )
            return images_as_test(looks, x, y, self.config)
        splits = training_splits(self._dataset(data), self.config.retrain)
        refuse_part(part, ("train", *("valid",) * bool(splits.count("valid")), "test"), self.folder)
        if isinstance(splits, Streamed):
            self.task.inputs(np.zeros((1, *splits.shape), np.uint8))  # which refuses another size
            return image_stream.as_test(splits, part, looks.mean, looks.std, self.config)
        x, y = (getattr(splits, f"{part}_{what}") for what in "xy")
        return images_as_test(looks, self.task.inputs(x), y, self.config)

    def _dataset(self, data: Any) -> datasets.Dataset | Streamed:
        own = self.config.data if self.given is None else self.given
        dataset = datasets.load(own if data is None else data)
        theirs, ours = dataset.classes, self.classes
        if not finetuning.same_classes(theirs, ours):
            first = next((pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]), None)
            which = f"{len(theirs)} instead of {len(ours)}"
            if first is not None:
                which = f"'{first[0]}' instead of '{first[1]}'"
            raise UserError(
                f"'{dataset.name}' has other classes than the network of {self.folder} tells apart, {which}: give it "
                "data of the same classes, in the same order."
            )
        now = training_splits(dataset, self.config.retrain).described()
        if data is None and (names := changed(now, self.description)):
            raise UserError(
                f"'{dataset.name}' is not what {self.folder} was trained on any more ({', '.join(names)}): name "
                "the data to test on, as in --data."
            )
        return dataset

    def finetune(
        self,
        data: Any = None,
        *,
        epochs: int = 10,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        out: str | Path | None = None,
        quiet: bool = False,
    ) -> "Found":
        """Train the network further from its weights, in a run folder of its own, which is loaded then.

        data: by default the run's; else a data set, by name or as such, or arrays: of as many channels, of the same
        columns, or texts, whose other words are `<unk>`. With other classes the network gets a new head.
        learning_rate: by default a tenth of the run's. batch_size: by default the run's. Everything else is as in the
        run, without a warm-up. out: by default a folder in runs/.
        Errors: `UserError` for data that do not fit, and as `dnas.retrain.run`.
        """
        config, given = finetuning.plan(self, data, epochs, learning_rate, batch_size)
        trained = retrain.run(config, self.genotype, out, data=given, quiet=quiet)
        return load_training(trained.folder, config, 0, None if config.data != datasets.ARRAYS else given)


def load_training(folder: Path, config: Config, index: int, given: Any) -> Found:
    """index: of the seed. given: the data set, where no name stands for it."""
    description = records.read_description(folder, "data.json")
    genotype = from_json(records.read_genotypes(folder)[0])
    space = find.resolve("space", config.space)
    check(genotype, space, config.retrain.cells)
    looks = looks_of(description, folder) if space.takes == "images" else None
    task = _bound(config, space, description, folder, given) if looks is None else no_images(looks, config)
    build = network_of(genotype, space, network_size_of(config.retrain, space, task.shape))
    with jax.enable_x64(config.dtype == "float64"):
        functional = functionalize(build)
        shapes = jax.eval_shape(functional.init, jax.random.key(0))
        weights, stats = weights_of.read(folder, shapes, index, "the network that its config and genotype say")
    return Found(
        folder=folder,
        config=config,
        genotype=genotype,
        seed=config.seed + index,
        task=task,
        given=given,
        looks=looks,
        functional=functional,
        weights=weights,
        stats=stats,
        layout=nnx.graphdef(build(Deferred(params=jax.random.key(0)))),
        description=description,
    )


def _bound(config: Config, space: Space, description: Any, folder: Path, given: Any) -> Task:
    """The task of the run on its data set, which must be what it was."""
    dataset = in_tokens_of(datasets.load(config.data if given is None else given), description)
    task, _ = binding.bind(dataset, config, "retrain", space)
    refuse_changed(task.described(), description, config, folder)
    return task
