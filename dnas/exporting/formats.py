"""The contract of formats, a file each beside this one, and what they share. Axis letters: B batch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from dnas import __version__
from dnas.exporting.inputs import Inputs
from dnas.loading import Found
from dnas.tasks.language import Language
from dnas.tasks.translation import Translation
from dnas.types import Tree


@dataclass(frozen=True)
class Subject:
    """What is exported. weights: of the network, some of them `quantised.Int8` where they are small."""

    found: Found
    weights: Tree
    is_small: bool = False


def argument_lines(inputs: Inputs) -> dict[str, dict[str, str]]:
    """The arguments of a program for a card."""
    return {
        name: {"kind": kind_of(one.dtype, one.shape), "says": inputs.says[name]} for name, one in inputs.arrays.items()
    }


def answer_line(found: Found) -> dict[str, str]:
    """The answer of a program for a card."""
    if found.classes:
        return {"kind": kind_of("float32", (len(found.classes),)), "says": "probabilities of the classes"}
    if isinstance(found.task, Language):
        state = "" if found.functional.carry is None else "; behind them, the state after the whole piece"
        says = f"probabilities of the tokens that may follow, by their place in vocabulary.json{state}"
        return {"kind": kind_of("float32", (found.task.shape.outputs,)), "says": says}
    if isinstance(found.task, Translation):
        says = "tokens of the translation by their place in vocabulary.json, its end and zeros behind it; and its score"
        return {"kind": f"{kind_of('int32', (found.task.longest,))}, {kind_of('float32', ())}", "says": says}
    return {"kind": kind_of("float32", ()), "says": f"{found.task.table.target}, in its unit"}


def kind_of(dtype: Any, shape: tuple[int, ...]) -> str:
    """`uint8 [B, 28, 28, 1]`."""
    return f"{jax.numpy.dtype(dtype).name} [{', '.join(map(str, ('B', *shape)))}]"


def write_model_json(folder: Path, found: Found, inputs: Inputs, more: Mapping[str, Any]) -> None:
    """Everything that a program needs to know to call what was exported; names are data there, never code."""
    about = {
        "made_by": {"dnas": __version__, "jax": jax.__version__},
        "task": found.task.name,
        "arguments": {name: line["kind"] for name, line in argument_lines(inputs).items()},
        "answer": answer_line(found)["kind"],
        "classes": list(found.classes),
    }
    write_json(folder / "model.json", about | dict(inputs.about) | dict(more))


def write_json(path: Path, content: Any) -> None:
    """ASCII, so that whoever reads it need not know how it is encoded."""
    path.write_text(json.dumps(content, indent=1), encoding="ascii")
