"""The accelerator's part of the benchmark: precisions, batches, seeds, against what the device reaches at its best.

    python scripts/benchmark.py --gpu                           # needs a GPU; --tiny runs the same on a CPU in a minute
    python benchmarks/gpu.py --part peaks                       # bytes and FLOP per second of a copy, a matrix product
    python benchmarks/gpu.py --part depthwise                   # three forms of a separable convolution

How bytes and FLOP of a step are counted: cost.py. On a CPU they leave out what our own kernels do. float32 products are
those of JAX's default precision, as in a search.
"""

import dataclasses
import json
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import turns
from turns import Setting

DTYPES = ("float32", "bfloat16")


class Plan(NamedTuple):
    """What is timed. elements: of the copied array; side: of the matrices; works: with all dtypes and batches."""

    works: tuple[Setting, ...]
    batches: tuple[int, ...]
    seeds: tuple[int, ...]
    elements: int
    side: int
    channels: tuple[int, ...]


WHOLE = Plan((Setting(), Setting("nasbench201", 5)), (64, 256), (1, 2, 4, 8, 16), 2**28, 8192, (16, 32, 64))
TINY = Plan((Setting("nasbench201", 1, 2),), (4,), (1, 2), 2**16, 64, (4,))


def run(plan: Plan, dtypes: tuple[str, ...], variants: tuple[str, ...], options: Namespace) -> dict:
    """All of it: peaks, depthwise forms, rows of the works, rows of the seeds."""
    with turns.fresh_caches() as environment, turns.console.status("peaks and depthwise forms"):
        peaks, depthwise = (part(name, plan, dtypes, environment) for name in ("peaks", "depthwise"))
    rows, seeds = [], []
    for work in plan.works:
        for dtype in dtypes:
            for batch in plan.batches:
                row = turns.compare(dataclasses.replace(work, batch=batch, dtype=dtype), variants, options)
                rows.append(with_shares(row, peaks))
            setting = dataclasses.replace(work, batch=plan.batches[0], dtype=dtype)
            seeds.append(with_shares(over_seeds(setting, plan.seeds, options), peaks))
    return {"peaks": peaks, "depthwise": depthwise, "rows": rows, "seeds": seeds}


def over_seeds(setting: Setting, counts: tuple[int, ...], options: Namespace) -> dict:
    """Step seconds of several searches in one program, as a row; `per_seed` is the ratio to as many single steps."""
    named = {f"ours {count} seeds": dataclasses.replace(setting, seeds=count) for count in counts}
    with turns.fresh_caches() as environment:
        sides, failed = turns.measure(named, options, environment)
    single = next(iter(sides.values()), None)
    for name, side in sides.items():
        side["per_seed"] = round(side["median_seconds"] / single["median_seconds"] / named[name].seeds, 3)
    about = {"title": f"{setting}: seeds", "dtype": setting.dtype, "ratio": None, "best": None, "targets": {}}
    return about | {"sides": sides, "failed": failed}


def with_shares(row: dict, peaks: dict) -> dict:
    """Add what our sides reach: FLOP and bytes per second, and their shares of the peaks."""
    for side in row["sides"].values():
        for count, unit, peak in (
            ("step_flops", "flops_per_second", peaks["product"][row["dtype"]]),
            ("step_bytes", "bytes_per_second", peaks["copy"]),
        ):
            if side.get(count):
                side[unit] = side[count] / side["median_seconds"]
                side[f"{unit}_share"] = round(side[unit] / peak, 4)
    return row


def show(found: dict) -> None:
    """Print the peaks, what our steps reach of them, and the three forms."""
    from rich.console import Console
    from rich.table import Table

    peaks = found["peaks"]
    products = ", ".join(f"{dtype} {rate / 1e12:.3g} TFLOP/s" for dtype, rate in peaks["product"].items())
    print(f"{peaks['device']}: copy {peaks['copy'] / 1e9:.4g} GB/s; matrix product {products}")
    for row in [*found["rows"], *found["seeds"]]:
        for name, side in row["sides"].items():
            if "bytes_per_second" in side:
                products = side.get("flops_per_second", 0.0), 100 * side.get("flops_per_second_share", 0.0)
                moved = side["bytes_per_second"], 100 * side["bytes_per_second_share"]
                reached = f"{products[0] / 1e12:.3g} TFLOP/s ({products[1]:.1f} % of the product)"
                print(f"{row['title']}, {name}: {reached}, {moved[0] / 1e9:.4g} GB/s ({moved[1]:.0f} % of the copy)")
    table = Table(title="separable convolution, microseconds forward / with gradients", title_justify="left")
    for name in ("dtype", "channels", "kernel", *(form.__name__ for form in FORMS)):
        table.add_column(name)
    for start in range(0, len(found["depthwise"]), len(FORMS)):
        group = found["depthwise"][start : start + len(FORMS)]
        times = [f"{1e6 * row['forward_seconds']:.0f} / {1e6 * row['gradient_seconds']:.0f}" for row in group]
        table.add_row(group[0]["dtype"], str(group[0]["channels"]), str(group[0]["size"]), *times)
    Console(width=120).print(table)


def part(name: str, plan: Plan, dtypes: tuple[str, ...], environment: dict[str, str]) -> Any:
    """Run one of the small parts in a process of its own, which gives the device's memory back."""
    command = [sys.executable, __file__, "--part", name, "--elements", str(plan.elements), "--side", str(plan.side)]
    command += ["--batch", str(plan.batches[0]), "--channels", *map(str, plan.channels), "--dtypes", *dtypes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise RuntimeError(f"The part '{name}' failed: {last[-1] if last else 'no message'}")
    return json.loads(done.stdout.splitlines()[-1])


def peaks(options: Namespace) -> dict:
    """Bytes per second of a pass that reads and writes an array, FLOP per second of a matrix product by dtype."""
    import jax
    import jax.numpy as jnp

    x = jnp.ones(options.elements, jnp.float32)
    copy = 2 * x.nbytes / seconds(jax.jit(jnp.negative), x)
    product = {}
    for dtype in options.dtypes:
        matrix = jnp.ones((options.side, options.side), dtype)
        product[dtype] = 2 * options.side**3 / seconds(jax.jit(jnp.matmul), matrix, matrix)
    return {"backend": jax.default_backend(), "device": jax.devices()[0].device_kind, "copy": copy, "product": product}


def depthwise(options: Namespace) -> list[dict]:
    """Seconds of the three forms, forward and with gradients, on images of 32 x 32; they compute the same."""
    import jax
    import jax.numpy as jnp

    rows = []
    for dtype in options.dtypes:
        for channels in options.channels:
            for size in (3, 5):
                keys = jax.random.split(jax.random.key(0), 3)
                x = jax.random.normal(keys[0], (options.batch, 32, 32, channels), dtype)
                deep = jax.random.normal(keys[1], (size, size, channels), dtype)
                point = jax.random.normal(keys[2], (channels, channels), dtype)
                about = {"dtype": dtype, "batch": options.batch, "channels": channels, "size": size}
                for form in FORMS:
                    total = partial(lambda form, *args: form(*args).astype(jnp.float32).sum(), form)
                    forward, backward = jax.jit(form), jax.jit(jax.grad(total, (0, 1, 2)))
                    row = {"form": form.__name__, "forward_seconds": seconds(forward, x, deep, point)}
                    rows.append(about | row | {"gradient_seconds": seconds(backward, x, deep, point)})
    return rows


def grouped(x, deep, point):
    """XLA's grouped convolution, then a matrix product. x [B, H, W, C], deep [k, k, C], point [C, O]."""
    import jax

    y = jax.lax.conv_general_dilated(
        x, deep[:, :, None], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1]
    )
    return y @ point


def folded(x, deep, point):
    """One dense convolution whose kernel is the product of both."""
    import jax

    kernel = deep[..., None] * point
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def shifted(x, deep, point):
    """A sum of shifted images, each times its weights, then a matrix product."""
    import jax.numpy as jnp

    size, (height, width) = deep.shape[0], x.shape[1:3]
    edge = size // 2
    padded = jnp.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    taps = [(i, j) for i in range(size) for j in range(size)]
    return sum(padded[:, i : i + height, j : j + width] * deep[i, j] for i, j in taps) @ point


FORMS = (grouped, folded, shifted)


def seconds(function: Callable[..., Any], *args: Any, calls: int = 10, tries: int = 5) -> float:
    """The quickest of some tries, for one call; every try waits for the device once, after all its calls."""
    import jax

    jax.block_until_ready(function(*args))
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        jax.block_until_ready([function(*args) for _ in range(calls)])
        best = min(best, (time.perf_counter() - began) / calls)
    return best


def main() -> int:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("peaks", "depthwise"), required=True)
    parser.add_argument("--elements", type=int, default=WHOLE.elements)
    parser.add_argument("--side", type=int, default=WHOLE.side)
    parser.add_argument("--batch", type=int, default=WHOLE.batches[0])
    parser.add_argument("--channels", type=int, nargs="*", default=WHOLE.channels)
    parser.add_argument("--dtypes", nargs="*", choices=DTYPES, default=DTYPES)
    options = parser.parse_args()
    print(json.dumps({"peaks": peaks, "depthwise": depthwise}[options.part](options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
