"""Published weights of PyTorch: a network of the reference codes, loaded and used as one of ours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from dnas import data as datasets
from dnas import find, interop
from dnas.architectures.genotype import Genotype, check
from dnas.config import Config, RetrainConfig
from dnas.data._streamed import Streamed
from dnas.errors import UserError
from dnas.loading.found import Found
from dnas.loading.looks import Looks, no_images
from dnas.nets.functional import Deferred, functionalize
from dnas.tasks.images import training_splits
from dnas.training.job import network_of, network_size_of

Moments = tuple[float, ...]  # of images in [0, 1], a number for each channel


def load_published(
    genotype: Genotype,
    path: str | Path,
    data: Any = "cifar10",
    *,
    training: RetrainConfig | None = None,
    mean: Moments | None = None,
    std: Moments | None = None,
) -> Found:
    """The network of a genotype with the weights of a file, `.pt`, `.pth` or `.npz`, on a data set of its classes.

    training: whose cells, channels, stem and auxiliary head the network has; by default they are read off the arrays.
    mean, std: by which images were normalised; by default as the published code does for CIFAR-10, with the stem for
    large images for ImageNet.
    Errors: `UserError` for weights of another genotype or size, another number of classes, and data of no images.
    """
    path = Path(path)
    if genotype.space not in interop.CODES:
        known = ", ".join(interop.CODES)
        raise UserError(f"Weights of PyTorch are read for cells of {known}, not of '{genotype.space}'.")
    code, arrays = interop.CODES[genotype.space], interop.load(path)
    try:
        size = code.size_of(arrays)
    except (KeyError, ValueError, IndexError):
        raise UserError(
            f"The arrays of '{path}' are not named as those of the published networks of '{genotype.space}': save "
            "model.state_dict() of that code."
        ) from None
    sized = _with_size(RetrainConfig(), size) if training is None else training
    dataset = datasets.load(data)
    config = Config(space=genotype.space, data=data if isinstance(data, str) else datasets.ARRAYS, retrain=sized)
    looks = _looks(dataset, code.MOMENTS[sized.stem if sized.stem in code.MOMENTS else "cifar"], mean, std)
    space = find.resolve("space", config.space)
    check(genotype, space, sized.cells)
    task = no_images(looks, config)
    build = network_of(genotype, space, network_size_of(sized, space, task.shape))
    _refuse_classes(arrays, looks, dataset, path)
    try:
        weights, stats = interop.from_torch(arrays, interop.layout(build))
    except UserError as error:
        raise UserError(f"The weights in '{path}' are not of this network: {error}") from None
    return Found(
        folder=path,
        config=config,
        genotype=genotype,
        seed=0,
        task=task,
        given=None if isinstance(data, str) else data,
        looks=looks,
        functional=functionalize(build),
        weights=jax.tree.map(lambda leaf: leaf.astype(np.float32), weights),
        stats=jax.tree.map(lambda leaf: leaf.astype(np.float32), stats),
        layout=nnx.graphdef(build(Deferred(params=jax.random.key(0)))),
        description=training_splits(dataset, sized).described(),
    )


def _with_size(plan: RetrainConfig, size: dict[str, Any]) -> RetrainConfig:
    """The plan for a network of this size. Errors: `UserError` for a size that no network has."""
    auxiliary = plan.auxiliary if size.pop("auxiliary") else 0.0
    return replace(plan, **size, auxiliary=auxiliary)


def _looks(dataset: Any, usual: tuple[Moments, Moments], mean: Moments | None, std: Moments | None) -> Looks:
    if not isinstance(dataset, datasets.Dataset | Streamed):
        raise UserError(f"Published networks read images, and '{dataset.name}' has none: choose another data set.")
    shape = dataset.shape
    moments = []
    for name, given, default in (("mean", mean, usual[0]), ("std", std, usual[1])):
        numbers = np.array(default if given is None else given, np.float32)
        if numbers.shape != shape[-1:] or not np.isfinite(numbers).all() or (name == "std" and not (numbers > 0).all()):
            raise UserError(
                f"The {name} of images of {shape[-1]} channel(s) is as many numbers, for values from 0 to 1, not "
                f"{', '.join(f'{number:g}' for number in numbers.ravel()) or 'none'}: give them as --{name}."
            )
        moments.append(numbers * 255)
    return Looks(shape, moments[0], moments[1], dataset.classes)


def _refuse_classes(arrays: dict[str, np.ndarray], looks: Looks, dataset: Any, path: Path) -> None:
    outputs = arrays["classifier.weight"].shape[0] if "classifier.weight" in arrays else len(looks.classes)
    if outputs != len(looks.classes):
        raise UserError(
            f"The network in '{path}' tells {outputs} classes apart, and '{dataset.name}' has {len(looks.classes)}: "
            "give data of its classes, as in --data."
        )
