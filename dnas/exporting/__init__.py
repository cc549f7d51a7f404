"""Trained networks to files that others use without this library: `dnas.export("runs/first", "out")`, `dnas export`.

    stablehlo   a program of raw inputs, any batch, by jax.export, with a predict.py that needs no dnas; of language
                models the next word, and predict.py writes on; of translations the whole beam search
    npz         weights by name and the architecture as JSON
    torch       weights as the reference codes of DARTS and NAS-Bench-201 name them

A format is a file beside this one: `refuse(subject)`, then `write(subject, folder)`, which gives what the card says.
Beside each export stands README.md, a model card (`card.py`). Nothing that is written or read is pickled.

ONNX was tried (jax2onnx 0.17.1, onnx 1.23.2, onnxruntime 1.32.0, jax 0.10.2, flax 0.12.8). The converter knows no
primitives of ours, and with convolutions written as XLA's: networks of DARTS cells (separable and dilated convolutions,
max pooling, skips) and chains of blocks answer as `predict` does, to 2e-8, for one size of the batch and for any. Those
of NAS-Bench-201, even of 1x1 convolutions and skips alone, are refused by onnxruntime ("Node (node_Concat_47) Op
(Concat) ... Inferred=10 Declared=8"), also where padding is XLA's; with average pooling so written and any batch the
conversion fails. Half of the networks are no format, so none is written.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dnas import modules_of
from dnas.errors import StorageError, UserError, unknown
from dnas.exporting import npz, quantised, stablehlo, torch
from dnas.exporting.card import card as card_of
from dnas.exporting.formats import Subject
from dnas.files import storage
from dnas.loading import Found

__all__ = ["FORMATS", "Exported", "export"]

__getattr__ = modules_of(__name__)

FORMATS: dict[str, Any] = {"stablehlo": stablehlo, "npz": npz, "torch": torch}
REFUSED = {
    "onnx": "ONNX is not written: onnxruntime refuses what jax2onnx, the one converter kept for this JAX, makes of "
    "half of the networks of this library; export stablehlo, or npz.",
    "tflite": "TensorFlow Lite is not written: its converters come with TensorFlow or PyTorch, hundreds of megabytes "
    "beside JAX; export stablehlo, or npz.",
}
WEIGHTS = ("trained", "int8")
CARD = "README.md"


class Exported(NamedTuple):
    """A folder, its files, the largest difference of a program to `predict` on examples (None: there is no program),
    and what 8 bits cost, in words."""

    folder: Path
    files: tuple[str, ...]
    difference: float | None = None
    rounding: str = ""


def export(
    found: Found, out: str | Path | None = None, *, form: str = "stablehlo", weights: str = "trained"
) -> Exported:
    """Write a trained network for others, into a new folder. out: by default one in that of its run.

    weights: as they were trained, "trained", or rounded to 8 bits, "int8". Errors: `UserError` for what cannot be
    exported so, and a folder that exists.
    """
    check(form, weights)
    if not isinstance(found, Found):
        raise UserError(f"{found.folder} is the folder of a search, whose cell is not trained: export its training.")
    is_small = weights == "int8"
    if out is None and not found.folder.is_dir():
        raise UserError(f"{found.folder} is no run, in whose folder exports are by default: name another, out.")
    folder = Path(out) if out is not None else found.folder / "export" / (f"{form}_int8" if is_small else form)
    FORMATS[form].refuse(Subject(found, found.weights, is_small))
    with _made(folder) as part:
        small = quantised.rounded(found) if is_small else found.weights
        rounding = quantised.loss_of_score(found, small) if is_small else ""
        of_format = FORMATS[form].write(Subject(found, small, is_small), part)
        difference = of_format.pop("difference", None)
        files = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
        about = of_format | {"format": form, "is_small": is_small, "rounding": rounding}
        about |= {"difference": difference, "files": files}
        shown = replace(found, weights=quantised.restored(small)) if is_small else found
        (part / CARD).write_text(card_of(shown, about), encoding="utf-8")
    return Exported(folder, (*files, CARD), difference, rounding)


def check(form: str, weights: str) -> None:
    """Errors: `UserError` for a format or a kind of weights that there is not."""
    if form in REFUSED:
        raise UserError(REFUSED[form])
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if weights not in WEIGHTS:
        raise unknown("kind of weights", weights, WEIGHTS)


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `folder` when all went well. Errors: `StorageError` where that exists or
    cannot be."""
    if os.path.lexists(folder):
        raise StorageError(f"{folder} already exists, and nothing is written over: choose another --out.")
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    with storage(folder.parent):
        part.mkdir(parents=True)
        try:
            yield part
            os.rename(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
