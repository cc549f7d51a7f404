"""PyTorch's names and layouts, for the networks of the reference codes: quark0/darts and D-X-Y/AutoDL-Projects.

An .npz of plain arrays: this library never imports PyTorch, and three lines make a state_dict of it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from dnas import find, interop
from dnas.architectures.genotype import to_text
from dnas.errors import UserError
from dnas.exporting.formats import Subject
from dnas.training.job import network_of, network_size_of

FILE = "state_dict.npz"
CODES = {
    "darts": "`NetworkCIFAR` or, with the stem for large images, `NetworkImageNet` of quark0/darts, `cnn/model.py`",
    "nasbench201": "`TinyNetwork` of D-X-Y/AutoDL-Projects, `xautodl/models/cell_infers/tiny_network.py`",
}
USAGE = """The arrays of {code}, of {cells} cells and {channels} channels:

```python
with np.load("state_dict.npz", allow_pickle=False) as file:
    model.load_state_dict({{name: torch.from_numpy(file[name]) for name in file.files}})
```

`num_batches_tracked`, which PyTorch counts and does not use, is left out, and PyTorch fills it in. Of DARTS' networks
set `model.drop_path_prob = 0`."""


def refuse(subject: Subject) -> None:
    """Errors: `UserError` for networks that the reference codes have not."""
    found = subject.found
    if subject.is_small:
        raise UserError("PyTorch weights are exported as they were trained: leave out --int8.")
    if found.genotype.space not in interop.CODES or found.task.name != "images":
        known = " and ".join(interop.CODES)
        raise UserError(
            f"PyTorch weights are exported for networks of images of the spaces {known}, whose reference codes exist, "
            f"and that of {found.folder} is of '{found.genotype.space}' for {found.reads}: use --format npz."
        )


def write(subject: Subject, folder: Path) -> dict[str, Any]:
    """state_dict.npz, genotype.txt. Gives what a card says of it. Errors: `UserError` for a layer of ours alone."""
    found, config = subject.found, subject.found.config
    space, shape = find.resolve("space", config.space), found.task.shape
    pairs = interop.layout(network_of(found.genotype, space, network_size_of(config.retrain, space, shape)))
    arrays = interop.to_torch(found.weights, found.stats, pairs)
    with open(folder / FILE, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    (folder / "genotype.txt").write_text(to_text(found.genotype) + "\n", encoding="utf-8")
    height, width, channels = shape.inputs
    mean, std = ([round(float(number) / 255, 6) for number in given] for given in found.task.moments)
    return {
        "usage": USAGE.format(
            code=CODES[found.genotype.space], cells=config.retrain.cells, channels=config.retrain.channels
        ),
        "arrays": {
            "images": {
                "kind": f"float32 [B, {channels}, {height}, {width}]",
                "says": f"values from 0 to 1, less the mean {mean}, divided by the standard deviation {std}",
            }
        },
        "answer": {"kind": f"float32 [B, {shape.outputs}]", "says": "logits, beside what else the model returns"},
        "note": "",
        "multiply_adds": 0,
    }
