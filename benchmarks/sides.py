"""One side of the benchmark in a process of its own: ours or PyTorch's, alone or taking turns with others."""

import json
import os
import resource
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

TEXTS = ("rnn", "transformer", "transformer-lm")
WORKS = ("darts-first", "darts-second", "nasbench201", "fbnet", "ofa", "derived", *TEXTS)
LAYOUTS = ("channels_last", "nchw")  # images are compiled in the first
VARIANTS = (*LAYOUTS, "eager", "compile")
FIELDS = ("work", "cells", "channels", "nodes", "batch", "tokens", "seeds", "dtype", "remat", "unroll")  # of a work
VOCABULARY, CLASSES = 10_000, 2  # of texts: words as of Penn Treebank, classes as of SST-2
DISTANCE = 8  # relative positions that the encoder tells apart, as its space does
FEED_FORWARDS = ("relu", "gelu", "relu2", "gated")
MIXERS = ("attention", "convolution", "both")
NORMS = ("pre", "post")


class TransformerSizes(NamedTuple):
    """The options of the transformers. head: width of one."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[int, ...]
    head: int


def transformer_sizes(channels: int, layers: int) -> TransformerSizes:
    """Of an embedding of so many channels, in proportion to the size `small` of the space, which has 128 and 3."""
    widths = channels // 2, 3 * channels // 4, channels
    return TransformerSizes(widths, tuple(range(1, layers + 1)), (1, 2, 4), (1, 2, 4), channels // 4)


def variants_of(work: str, wanted: Sequence[str] = VARIANTS) -> list[str]:
    """Those of PyTorch's that there are of a work."""
    return [name for name in wanted if name not in (LAYOUTS if work in TEXTS else ("eager",))]


def refused(options: Namespace) -> str | None:
    """What is wrong with a side, as a sentence."""
    work = options.work
    if options.variant and options.variant not in variants_of(work):
        return f"The work '{work}' has no variant '{options.variant}': choose of {', '.join(variants_of(work))}."
    if work not in TEXTS:
        return None
    if options.dtype != "float32":
        return f"The work '{work}' is computed in float32, not {options.dtype}: leave --dtype out."
    if work == "rnn":
        return None if options.cells == 1 else f"The work 'rnn' has one cell, not {options.cells}: give --cells 1."
    if options.channels % 4:
        return f"The work '{work}' divides its channels by 4, and they are {options.channels}: give a multiple."
    return None


def add_options(parser: ArgumentParser) -> None:
    """The options of one side."""
    one = parser.add_argument_group("one side alone")
    one.add_argument("--side", choices=("ours", "torch"))
    one.add_argument("--work", choices=WORKS, default="darts-first")
    one.add_argument("--cells", type=positive, default=8, help="of a transformer: layers")
    one.add_argument("--channels", type=positive, default=16)
    one.add_argument("--nodes", type=positive, default=4, help="of a DARTS cell (ours only), of the recurrent one")
    one.add_argument("--batch", type=positive, default=16)
    one.add_argument("--tokens", type=positive, default=35, help="of a sequence (rnn and transformers)")
    one.add_argument("--steps", type=positive, default=5)
    one.add_argument("--seeds", type=positive, default=1, help="searches in one program (ours only)")
    one.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    one.add_argument("--remat", action="store_true", help="rematerialise every cell (ours only)")
    one.add_argument("--unroll", action="store_true", help="compile every cell by itself (ours only)")
    one.add_argument("--variant", choices=VARIANTS, help="of PyTorch; default: channels_last, of texts eager")
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
    if sentence := refused(options):
        sys.exit(sentence)
    options.variant = options.variant or variants_of(options.work)[0]
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
    began = time.process_time()
    seconds = timed(job, options.steps)
    processor = (time.process_time() - began) / options.steps
    result = {
        **{name: getattr(options, name) for name in FIELDS},
        **facts,
        "median_seconds": statistics.median(seconds),
        "seconds": seconds,
        "processor_seconds": round(processor, 5),  # of a step, by all threads: what others do counts less in it
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
