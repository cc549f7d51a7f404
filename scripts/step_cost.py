"""What a step of each method costs, relative to one of first-order DARTS on the same supernet.

    python scripts/step_cost.py experiments/small_compare.py --out benchmarks/results/step_cost.json

All steps are compiled first; then they take turns, so that a busy machine slows all of them alike. What a method does
between epochs (an alpha-Hessian, a selection) is not part of a step.
"""

import argparse
import json
import statistics
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dnas import compare, find
from dnas.architectures.topology import NetworkSize
from dnas.config import Config
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.runs import loop
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.tasks.classification import Classification
from dnas.types import Batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="a file with configs(); one of them is called 'darts'")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every method")
    parser.add_argument("--size", type=int, default=16, help="pixels of a side of the images")
    parser.add_argument("--only", nargs="*", help="only these methods, and darts")
    parser.add_argument("--out", type=Path, help="write the results as JSON here")
    options = parser.parse_args()
    loop.prepare_process()
    jax.config.update("jax_enable_compilation_cache", False)  # compilation is measured, too
    searches = {name: c for name, c in compare.load(options.experiment)[0].items() if isinstance(c, Config)}
    chosen = {name: c for name, c in searches.items() if not options.only or name in {"darts", *options.only}}
    console = Console(stderr=True)
    steps, compiled = {}, {}
    for name, config in track(chosen.items(), "compiling", console=console, total=len(chosen)):
        steps[name], compiled[name] = prepared(config, options.size)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in track(range(options.rounds), "turns", console=console):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rows = {
        name: {
            "method": chosen[name].method,
            "seconds": round(median[name], 4),
            "ratio": round(median[name] / median["darts"], 2),
            "compile_seconds": round(compiled[name], 1),
        }
        for name in steps
    }
    show(rows)
    if options.out:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
        about = {"experiment": options.experiment, "size": options.size, "commit": commit.stdout.strip()}
        options.out.write_text(json.dumps(about | {"jax": jax.__version__, "rows": rows}, indent=1) + "\n")


def prepared(config: Config, size: int):
    """A function that makes one step of the first phase and waits for it, and the seconds of tracing and compiling."""
    space, method = find.resolve("space", config.space), find.resolve("method", config.method)
    phase = method.phases(space, config.search)[0]
    plan = replace(phase.config, alphas=replace(phase.config.alphas, warmup_epochs=0))
    supernet = phase.supernet(method.supernet(space))
    network = functionalize(lambda rngs: Supernet(supernet, NetworkSize(plan.cells, plan.channels, 10), rngs=rngs))
    search = make_search(network, space, method, plan, 1000, task=Classification())
    rng = np.random.default_rng(0)

    def batch(*count: int) -> Batch:
        shape = (*count, plan.batch_size)
        x = rng.standard_normal((*shape, size, size, 3), np.float32)
        return Batch(jnp.asarray(x), jnp.asarray(rng.integers(0, 10, shape)))

    levels = Levels(batch(plan.inner_steps) if plan.inner_steps > 1 else batch(), batch())
    carry = [jax.jit(search.init)(jax.random.key(0))]
    began = time.perf_counter()
    step = jax.jit(search.step, donate_argnums=0).lower(carry[0], levels).compile()
    compiled = time.perf_counter() - began

    def run() -> None:
        carry[0], metrics = step(carry[0], levels)
        jax.block_until_ready(metrics)

    run()
    return run, compiled


def show(rows: dict[str, dict]) -> None:
    table = Table("method", box=None, pad_edge=False, header_style="bold")
    for name in ("seconds", "x DARTS", "trace and compile s"):
        table.add_column(name, justify="right")
    for name, row in sorted(rows.items(), key=lambda item: item[1]["ratio"]):
        table.add_row(name, f"{row['seconds']:.3f}", f"{row['ratio']:.2f}", f"{row['compile_seconds']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
