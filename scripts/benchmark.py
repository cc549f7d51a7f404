"""Time dnas against PyTorch on this machine, side by side.

    python scripts/benchmark.py --quick             # two works, eager PyTorch
    python scripts/benchmark.py                     # every work and every PyTorch variant
    python scripts/benchmark.py --works darts-first --cells 8 --batches 16 64
    python scripts/benchmark.py --side ours --work darts-first --cells 8 --channels 16 --batch 16 --steps 5 --json

Every side is a process of its own, all on the same cores. Once all are compiled they take turns, A B A B: one runs a
step while the others sleep, so that a busy machine slows all of them alike. Needs torch: pip install "dnas[bench]", or
name another environment that has it by `--torch-python`.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BEGAN = time.time()
ROOT = Path(__file__).resolve().parents[1]
WORKS = ("darts-first", "darts-second", "nasbench201", "derived")
VARIANTS = ("channels_last", "nchw", "compile")
console = Console(stderr=True)


@dataclass(frozen=True)
class Setting:
    """One line of the table. target: the largest wanted ratio to the best PyTorch variant."""

    work: str
    cells: int
    channels: int
    batch: int
    target: float


TABLE = (
    Setting("darts-first", 8, 16, 16, 0.5),
    Setting("darts-first", 8, 16, 64, 0.5),
    Setting("darts-second", 8, 16, 16, 0.6),
    Setting("darts-second", 8, 16, 64, 0.6),
    Setting("nasbench201", 5, 16, 64, 0.6),
    Setting("derived", 20, 36, 32, 0.8),
)
QUICK = (TABLE[0], TABLE[4])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two works and eager PyTorch only")
    parser.add_argument("--works", nargs="*", choices=WORKS, help="only these works of the table")
    parser.add_argument("--batches", nargs="*", type=int, help="only these batches of the table")
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, help="of PyTorch; default: all, eager for --quick")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every side")
    parser.add_argument("--out", type=Path, help="write the results as JSON here")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH", help="the Python that has torch")
    one = parser.add_argument_group("one side alone")
    one.add_argument("--side", choices=("ours", "torch"))
    one.add_argument("--work", choices=WORKS, default="darts-first")
    one.add_argument("--cells", type=int, default=8)
    one.add_argument("--channels", type=int, default=16)
    one.add_argument("--batch", type=int, default=16)
    one.add_argument("--steps", type=int, default=5)
    one.add_argument("--seeds", type=int, default=1, help="searches in one program (ours only)")
    one.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    one.add_argument("--remat", action="store_true", help="rematerialise every cell (ours only)")
    one.add_argument("--variant", choices=VARIANTS, default="channels_last", help="of PyTorch")
    one.add_argument("--cache", action="store_true", help="with the persistent compilation cache (ours only)")
    one.add_argument("--json", action="store_true", help="print one JSON line")
    one.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options) if options.serve else alone(options)
        return 0
    return compare(options)


# One side


def prepare(options: argparse.Namespace) -> tuple[Any, dict]:
    """The job and what is known before the first timed step."""
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
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
        "start_seconds": round(time.time() - process_start(), 2),
        "parameters": job.parameters,
        **job.facts,
    }


def process_start() -> float:
    """When this process began, in seconds since the epoch; imports of the standard library count where Linux says."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return BEGAN


def timed(job: Any, steps: int) -> list[float]:
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        job.step()
        seconds.append(round(time.perf_counter() - began, 4))
    return seconds


def peak_mb() -> float:
    """Largest resident memory of this process, compilation included, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)


def alone(options: argparse.Namespace) -> None:
    job, facts = prepare(options)
    seconds = timed(job, options.steps)
    result = {
        **{name: getattr(options, name) for name in ("work", "cells", "channels", "batch", "seeds", "dtype", "remat")},
        **facts,
        "median_seconds": statistics.median(seconds),
        "seconds": seconds,
        "peak_mb": peak_mb(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:16} {value}")


def serve(options: argparse.Namespace) -> None:
    """Speak JSON lines with `compare`: facts, then for every number read that many steps, last the peak memory."""
    job, facts = prepare(options)
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(job, int(line))), flush=True)
    print(json.dumps({"peak_mb": peak_mb()}), flush=True)


# All sides


class Side:
    """A process that serves one side of one setting."""

    def __init__(self, name: str, setting: Setting, options: argparse.Namespace, environment: dict[str, str]):
        side, _, variant = name.partition("-")
        python = sys.executable if side == "ours" else options.torch_python
        command = [python, __file__, "--side", side, "--serve", "--work", setting.work, "--cache"]
        for field in ("cells", "channels", "batch"):
            command += [f"--{field}", str(getattr(setting, field))]
        command += ["--variant", variant] if variant else []
        self.name, self.seconds = name, list[float]()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.facts = self._read()

    def turn(self, steps: int = 1) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.seconds += self._read()

    def end(self) -> dict:
        assert self.process.stdin is not None
        self.process.stdin.close()
        peak = self._read()
        self.process.wait()
        spread = (min(self.seconds), max(self.seconds)) if self.seconds else ()
        return {**self.facts, **peak, "median_seconds": statistics.median(self.seconds), "spread": spread}

    def _read(self) -> Any:
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            error = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(f"{self.name} failed: {error[-1] if error else 'no message'}")
        return json.loads(line)


def compare(options: argparse.Namespace) -> int:
    settings = [s for s in (QUICK if options.quick else TABLE) if not options.works or s.work in options.works]
    settings = [s for s in settings if not options.batches or s.batch in options.batches]
    variants = options.variants or (VARIANTS[:2] if options.quick else VARIANTS)
    rows = []
    for setting in settings:
        rows.append(measure(setting, variants, options))
        show(rows)
        if options.out:  # after every line: nothing finished is lost
            options.out.parent.mkdir(parents=True, exist_ok=True)
            document = {"command": typed_command(), **machine(options), "rows": rows}
            options.out.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def measure(setting: Setting, variants: tuple[str, ...], options: argparse.Namespace) -> dict:
    """All sides of one setting: ours cold and from the cache, then turns."""
    title = f"{setting.work}, {setting.cells} cells, {setting.channels} channels, batch {setting.batch}"
    with tempfile.TemporaryDirectory() as cache, console.status(title) as status:
        environment = {**os.environ, "XDG_CACHE_HOME": cache, "DNAS_DATA_DIR": f"{cache}/dnas/data"}
        environment["TORCHINDUCTOR_CACHE_DIR"] = f"{cache}/inductor"
        status.update(f"{title}: ours, cold")
        cold = Side("ours", setting, options, environment)
        cold.turn()
        cold = cold.end()
        sides, failed = [], {}
        try:
            for name in ["ours", *(f"torch-{variant}" for variant in variants)]:
                status.update(f"{title}: {name}")
                try:
                    sides.append(Side(name, setting, options, environment))
                except RuntimeError as error:
                    failed[name] = str(error)
                    console.print(error)
            for turn in range(options.rounds):
                for side in sides:
                    status.update(f"{title}: turn {turn + 1} of {options.rounds}, {side.name}")
                    side.turn()
            results = {side.name: side.end() for side in sides}
        finally:
            for side in sides:
                side.process.kill()
    ours = results["ours"]
    ours |= {key: cold[key] for key in ("trace_seconds", "compile_seconds", "cold_seconds")}
    ours["warm_start_seconds"] = ours.pop("start_seconds")
    ours["peak_mb_cold"] = cold["peak_mb"]
    theirs = {name: result for name, result in results.items() if name != "ours"}
    best = min(theirs, key=lambda name: theirs[name]["median_seconds"]) if theirs else None
    for result in results.values():
        images = setting.batch * (1 if setting.work == "derived" else 2)
        result["images_per_second"] = round(images / result["median_seconds"], 1)
    ratio = round(ours["median_seconds"] / theirs[best]["median_seconds"], 3) if best else None
    return {**setting.__dict__, "ratio": ratio, "best": best, "sides": results, "failed": failed}


def show(rows: list[dict]) -> None:
    table = Table(title="step seconds (smallest to largest), ratio to the best PyTorch variant", title_justify="left")
    for name in (
        "work",
        "side",
        "median s",
        "spread",
        "ratio",
        "target",
        "cold s",
        "warm start s",
        "peak MiB",
        "img/s",
    ):
        table.add_column(name, justify="left" if name in ("work", "side") else "right")
    for row in rows:
        title = f"{row['work']} {row['cells']}x{row['channels']}, batch {row['batch']}"
        for name, side in row["sides"].items():
            ours = name == "ours"
            ratio = [f"{row['ratio']}", f"{row['target']}"] if ours else ["", ""]
            start = f"{side['warm_start_seconds']:.1f}" if ours else ""
            low, high = side["spread"]
            table.add_row(
                title if ours else "",
                name + (" *" if name == row["best"] else ""),
                f"{side['median_seconds']:.2f}",
                f"{low:.2f}-{high:.2f}",
                *ratio,
                f"{side['cold_seconds']:.1f}" if ours or name == "torch-compile" else "",
                start,
                f"{side['peak_mb']:.0f}",
                f"{side['images_per_second']:.0f}",
            )
        table.add_section()
    Console(width=120).print(table)


def typed_command() -> str:
    """What was typed, without where this machine keeps its Pythons."""
    words = iter(["scripts/benchmark.py", *sys.argv[1:]])
    return " ".join(word for word in words if word != "--torch-python" or not next(words))


def machine(options: argparse.Namespace) -> dict:
    """What the results were measured on."""
    facts = {"date": str(date.today()), "python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            facts["processor"] = line.partition(":")[2].strip()
            break
    versions = "import importlib.metadata as m; print(m.version('{}'))"
    for python, name in ((sys.executable, "jax"), (sys.executable, "flax"), (options.torch_python, "torch")):
        done = subprocess.run([python, "-c", versions.format(name)], capture_output=True, text=True)
        facts[name] = done.stdout.strip()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return facts | {"commit": commit.stdout.strip()}


if __name__ == "__main__":
    sys.exit(main())
