"""One side of the benchmark in a process of its own: ours or PyTorch's, alone or taking turns with others."""

import json
import os
import resource
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

WORKS = ("darts-first", "darts-second", "nasbench201", "fbnet", "ofa", "derived")
VARIANTS = ("channels_last", "nchw", "compile")
FIELDS = ("work", "cells", "channels", "nodes", "batch", "seeds", "dtype", "remat", "unroll")  # what a work is made of


def add_options(parser: ArgumentParser) -> None:
    """The options of one side."""
    one = parser.add_argument_group("one side alone")
    one.add_argument("--side", choices=("ours", "torch"))
    one.add_argument("--work", choices=WORKS, default="darts-first")
    one.add_argument("--cells", type=positive, default=8)
    one.add_argument("--channels", type=positive, default=16)
    one.add_argument("--nodes", type=positive, default=4, help="of a DARTS cell (ours only)")
    one.add_argument("--batch", type=positive, default=16)
    one.add_argument("--steps", type=positive, default=5)
    one.add_argument("--seeds", type=positive, default=1, help="searches in one program (ours only)")
    one.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    one.add_argument("--remat", action="store_true", help="rematerialise every cell (ours only)")
    one.add_argument("--unroll", action="store_true", help="compile every cell by itself (ours only)")
    one.add_argument("--variant", choices=VARIANTS, default="channels_last", help="of PyTorch")
    one.add_argument("--cache", action="store_true", help="with JAX's persistent compilation cache (ours only)")
    one.add_argument("--count", action="store_true", help="count FLOP and bytes of a step (ours only)")
    one.add_argument("--json", action="store_true", help="print one JSON line")
    one.add_argument("--serve", action="store_true", help="print JSON facts, then time as many steps as each line says")


def positive(text: str) -> int:
    """A whole number above zero."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(options: Namespace) -> None:
    """What `--side` asks for."""
    (serve if options.serve else alone)(options)


def prepare(options: Namespace) -> tuple[Any, dict]:
    """The job and what is known before the first timed step."""
    if options.side == "ours":
        import ours as side
    else:
        try:
            import torch_baseline as side
        except ImportError as error:
            sys.exit(f"The PyTorch side needs torch ({error}): pip install 'dnas[bench]', or name --torch-python.")
    job = side.prepare(options)
    began = time.perf_counter()
    job.step()  # PyTorch compiles here
    first = time.perf_counter() - began
    return job, {
        "side": options.side,
        "trace_seconds": round(job.trace_seconds, 2),
        "compile_seconds": round(job.compile_seconds, 2),
        "cold_seconds": round(job.trace_seconds + job.compile_seconds, 2) or round(first, 2),
        "parameters": job.parameters,
        **job.facts,
    }


def timed(job: Any, steps: int) -> list[float]:
    """Seconds of each of some steps."""
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        job.step()
        seconds.append(round(time.perf_counter() - began, 5))
    return seconds


def memory(job: Any) -> dict[str, float]:
    """Largest memory of this process, compilation included, and of the accelerator where there is one, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
    device = job.device_bytes()
    return peak if device is None else peak | {"device_peak_mb": round(device / 2**20, 1)}


def alone(options: Namespace) -> None:
    """Time some steps and print the result."""
    job, facts = prepare(options)
    seconds = timed(job, options.steps)
    result = {
        **{name: getattr(options, name) for name in FIELDS},
        **facts,
        "median_seconds": statistics.median(seconds),
        "seconds": seconds,
        **memory(job),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:16} {value}")


def serve(options: Namespace) -> None:
    """Speak JSON lines with `turns.Side`: facts, then for every number read that many steps, last the peak memory."""
    job, facts = prepare(options)
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(job, int(line))), flush=True)
    print(json.dumps(memory(job)), flush=True)


def process_start() -> float:
    """When this process began, in seconds since the epoch. Linux only."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))
