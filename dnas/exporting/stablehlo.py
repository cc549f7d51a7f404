"""StableHLO, serialised by `jax.export`, with a predict.py that needs JAX, NumPy and flatbuffers alone (for pieces of
words, and for translations, tokenizers, too). Of translations the program is the whole beam search.

Serialised are flatbuffers, by the package of that name, which is none of JAX's own dependencies. JAX promises to read
what it wrote for six months at least (docs.jax.dev, "Exporting and serializing staged-out computations").
"""

import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
from jax import export

from dnas.errors import UserError
from dnas.exporting import program
from dnas.exporting.formats import Subject, answer_line, argument_lines, write_model_json
from dnas.exporting.inputs import inputs_of

FILE = "model.stablehlo"
SCRIPTS = Path(__file__).with_name("_scripts")
USAGE = """Without dnas:

```
pip install jax numpy flatbuffers{more}
python predict.py {example}
```

or from Python, for any number of inputs at once, `from predict import predict`. In a program of your own:

```python
model = jax.export.deserialize(bytearray(open("model.stablehlo", "rb").read()))  # no code is unpickled
answers = jax.jit(model.call)({arguments})
```

It runs on {platforms}. Preprocessing is part of it: give it raw inputs. It was written, read again and compared with
{versions}."""
EXAMPLES = {
    "images": "IMAGES.npy",
    "sounds": "A.wav B.wav",
    "rows": "ROWS.csv",
    "words": '"a text"',
    "pieces": '"a text"',
    "language": '"a text" --more 20',
    "translation": '"a text"',
}
WIDE = "Numbers are float64: switch that on first, jax.config.update('jax_enable_x64', True), as predict.py does."


def refuse(subject: Subject) -> None:
    """Errors: `UserError` for what has no such program, and without the package that serialises it."""
    if find_spec("flatbuffers") is None:
        raise UserError("Programs are written and read by the package flatbuffers: pip install 'dnas[export]'.")
    inputs_of(subject.found)


def write(subject: Subject, folder: Path) -> dict[str, Any]:
    """model.stablehlo, model.json, predict.py. Gives what a card says of it."""
    found, inputs = subject.found, inputs_of(subject.found)
    made = program.exported(found, inputs, subject.weights)
    (folder / FILE).write_bytes(made.serialize())
    again = export.deserialize(bytearray((folder / FILE).read_bytes()))
    difference = program.checked(found, inputs, jax.jit(again.call), subject.weights)
    write_model_json(folder, found, inputs, {"platforms": list(program.PLATFORMS)})
    for name, content in inputs.files.items():
        (folder / name).write_text(content, encoding="utf-8")
    shutil.copyfile(SCRIPTS / f"{inputs.script}.py", folder / "predict.py")
    return {
        "usage": USAGE.format(
            more=" tokenizers" * ("tokeniser.json" in inputs.files),
            example=EXAMPLES[inputs.script],
            arguments=", ".join(inputs.arrays),
            platforms=", ".join(program.PLATFORMS),
            versions=", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy", "flatbuffers")),
        ),
        "arrays": argument_lines(inputs),
        "answer": answer_line(found),
        "note": WIDE if inputs.wide else "",
        "multiply_adds": program.multiply_adds(found, inputs),
        "difference": difference,
    }
