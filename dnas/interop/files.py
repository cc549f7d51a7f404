"""Files of arrays by name: `.npz`, and `.pt` and `.pth` where PyTorch is installed."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from dnas.errors import UserError


def load(path: str | Path, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of a `.npz`, or of a `.pt` or `.pth` if PyTorch is installed: a state_dict, or a checkpoint with one.

    prefix: only arrays whose names begin with it, without it.
    Errors: `UserError` for a file that is missing or damaged, that holds none or several, or where PyTorch is needed.
    """
    path = Path(path)
    readers = {".npz": _load_npz, ".pt": _load_torch, ".pth": _load_torch}
    if path.suffix not in readers:
        raise UserError(f"Cannot read weights from '{path}': expected a file that ends in .npz, .pt or .pth.")
    if not os.path.isfile(path):  # of a pathlib.Path, this raises for odd names
        raise UserError(f"There is no file of weights '{path}'.")
    arrays = readers[path.suffix](path)
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def save(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as `.npz`, or as a state_dict in `.pt` or `.pth` if PyTorch is installed. Errors: `UserError`."""
    path = Path(path)
    try:
        if path.suffix == ".npz":
            np.savez(path, **arrays)  # type: ignore[arg-type]
        elif path.suffix in (".pt", ".pth"):
            torch = _torch(path)
            torch.save({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}, path)
        else:
            raise UserError(f"Cannot write weights to '{path}': expected a file that ends in .npz, .pt or .pth.")
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"Cannot write weights to '{path}': {reason}.") from None


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("one array")
        with found as archive:
            return {name: archive[name] for name in archive.files}
    except Exception:  # numpy and zipfile raise whatever damage makes them raise
        raise UserError(f"The file of weights '{path}' is not a complete .npz of plain arrays.") from None


def _load_torch(path: Path) -> dict[str, np.ndarray]:
    torch = _torch(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler and its zip reader raise
        raise UserError(
            f"PyTorch cannot read '{path}' as weights only ({type(error).__name__}): save model.state_dict()."
        ) from None
    return {WRAPPERS.sub("", name): _array(tensor) for name, tensor in _state_dict(found, path, torch.Tensor).items()}


STATE_DICTS = ("state_dict", "model_state_dict", "model", "model_state", "net", "network")  # what checkpoints call it
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # what DataParallel and torch.compile put before every name


def _state_dict(found: Any, path: Path, kind: type) -> dict[str, Any]:
    """The tensors of a state_dict, or of the one within a checkpoint."""
    if not isinstance(found, dict):
        raise UserError(f"The file '{path}' holds no state_dict but a {type(found).__name__}: save model.state_dict().")

    def tensors(part: Any) -> dict[str, Any]:
        pairs = part.items() if isinstance(part, dict) else ()
        return {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, kind)}

    inner = {name: tensors(part) for name, part in found.items() if tensors(part)}
    for name in STATE_DICTS:
        if name in inner:
            return inner[name]
    if tensors(found):
        return tensors(found)
    if len(inner) != 1:
        keys = ", ".join(f"'{name}'" for name in (inner or found)) or "nothing"
        what = "several state_dicts" if inner else "no state_dict"
        raise UserError(f"The file '{path}' holds {what} (found {keys}): save the model's as 'state_dict'.")
    return next(iter(inner.values()))


def _array(tensor: Any) -> np.ndarray:
    """A tensor of any device and type, and whether it is a parameter or not; what numpy lacks (bfloat16) as float32."""
    plain = tensor.detach().cpu()
    try:
        return plain.numpy()
    except TypeError:
        return plain.float().numpy()


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"The file '{path}' needs PyTorch, which is not installed: run pip install torch, or use .npz."
        ) from None
    return torch
