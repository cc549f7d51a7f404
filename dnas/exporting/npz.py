"""Weights and statistics as plain arrays by name, and the architecture as JSON. For every network that is trained."""

from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from dnas import config as configs
from dnas.architectures.genotype import to_json
from dnas.exporting.formats import Subject, write_json
from dnas.exporting.quantised import Int8

FILE = "weights.npz"
SCALE = ":scale"  # behind the name of what is in 8 bits: what it is multiplied by
USAGE = """`weights.npz` has every weight by its path, as in `weights/backbone/classifier/kernel`, and running
statistics as `stats/...`; equal cells lie along a first axis. It holds plain arrays:

```python
with np.load("weights.npz", allow_pickle=False) as file:
    arrays = {{name: file[name] for name in file.files}}
{restore}```

`architecture.json` has the genotype, the sizes, what the inputs were like and the settings of the training, from which
dnas builds the network (`dnas.nets.functional.functionalize`)."""
RESTORE = """arrays = {name: a * arrays.get(name + ":scale", 1) for name, a in arrays.items() if ":" not in name}
"""


def refuse(subject: Subject) -> None:
    """Everything has weights."""


def write(subject: Subject, folder: Path) -> dict[str, Any]:
    """weights.npz, architecture.json. Gives what a card says of it."""
    found = subject.found
    trees = {"weights": subject.weights, "stats": found.stats}
    arrays: dict[str, np.ndarray] = {}
    for path, leaf in flatten_dict(trees).items():
        name = "/".join(map(str, path))
        if isinstance(leaf, Int8):
            arrays |= {name: leaf.values, f"{name}{SCALE}": leaf.scales}
        else:
            arrays[name] = np.asarray(leaf)
    with open(folder / FILE, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    shape = found.task.shape
    about = {
        "space": found.config.space,
        "genotype": to_json(found.genotype),
        "task": found.task.name,
        "shape": {"outputs": shape.outputs, "inputs": list(shape.inputs), "vocabulary": shape.vocabulary},
        "data": dict(found.description),
        "config": configs.to_dict(found.config),
        "arrays": {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()},
    }
    write_json(folder / "architecture.json", about)
    return {
        "usage": USAGE.format(restore=RESTORE if subject.is_small else ""),
        "arrays": {"inputs": {"kind": f"{found.reads} [B, {', '.join(map(str, shape.inputs))}]", "says": SAYS}},
        "answer": {"kind": f"[B, {shape.outputs}]", "says": "logits"},
        "note": "",
        "multiply_adds": 0,
    }


SAYS = "as the network reads it, preprocessed by what architecture.json says under `data`"
