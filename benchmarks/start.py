"""From the command to the first step: `dnas search` (or `dnas retrain`) itself, ended after one step.

    python benchmarks/start.py --work darts-first --cells 8 --channels 16 --batch 16

The data are 4 batches of noise in an .npz file. Everything from the start of the interpreter counts: imports, options,
reading the data, the run folder, the initial state, the programs (compiled, or kept by an earlier start with the same
cache folder), one step and its metrics. Prints one JSON line.
"""

import json
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import sides

STEPS = 4  # per epoch


def main() -> int:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    sides.add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return search(options, Path(folder))


def search(options: Namespace, folder: Path) -> int:
    """Run the command; gives its exit code."""
    import numpy as np

    from dnas import cli
    from dnas.runs import loop

    rng = np.random.default_rng(0)
    count = STEPS * options.batch * (1 if options.work == "derived" else 2)
    x, y = rng.integers(0, 256, (count, 32, 32, 3), np.uint8), np.arange(count) % 10
    np.savez(folder / "noise.npz", x=x, y=y, x_test=x[:10], y_test=y[:10])
    loop.drive = first_step
    return cli.main([*command(options), "--data", f"npz:path={folder / 'noise.npz'}", "--out", str(folder / "run")])


def command(options: Namespace) -> list[str]:
    """What one would type."""
    if options.work == "derived":
        words, part = ["retrain", "DARTS_V2"], "retrain"
    else:
        space = "nasbench201" if options.work == "nasbench201" else f"darts:nodes={options.nodes}"
        order = "second" if options.work == "darts-second" else "first"
        words, part = ["search", "--space", space, "--method", f"darts:order={order}"], "search"
    for name, value in (("cells", options.cells), ("channels", options.channels), ("batch-size", options.batch)):
        words += [f"--{part}.{name}", str(value)]
    return [*words, "--seeds", str(options.seeds), "--dtype", options.dtype, "--quiet"]


def first_step(run: Any, progress: Any, advance: Any, *_: Any, **__: Any) -> None:
    """In place of the loop: one step, then the end of the process."""
    import numpy as np

    from dnas.runs import devices

    devices.fetch(advance(progress, np.int32(1)).bad_step)  # waits for the device
    nothing = Namespace(device_bytes=lambda: None)
    print(json.dumps({"start_seconds": round(time.time() - sides.process_start(), 2), **sides.memory(nothing)}))
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
