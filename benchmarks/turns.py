"""All sides of one setting: processes on the same cores that take turns, A B A B, once all are compiled.

One runs a step while the others sleep, so that a busy machine slows all of them alike.
"""

import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from dnas.paths import cache_dir

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent / "scripts" / "benchmark.py"
console = Console(stderr=True)


@dataclass(frozen=True)
class Setting:
    """What is timed. ratio, cold_seconds, start_seconds: the largest wanted; the ratio is to the best of PyTorch."""

    work: str = "darts-first"
    cells: int = 8
    channels: int = 16
    batch: int = 16
    nodes: int = 4
    seeds: int = 1
    dtype: str = "float32"
    remat: bool = False
    unroll: bool = False
    ratio: float | None = None
    cold_seconds: float | None = None
    start_seconds: float | None = None

    def __str__(self) -> str:
        title = f"{self.work} {self.cells}x{self.channels}, batch {self.batch}"
        title += f", {self.nodes} nodes" if self.nodes != 4 else ""
        title += f", {self.seeds} seeds" if self.seeds > 1 else ""
        return title + ", bf16" * (self.dtype == "bfloat16") + ", remat" * self.remat + ", unrolled" * self.unroll

    def words(self) -> list[str]:
        """As options of one side."""
        names = ("work", "cells", "channels", "nodes", "batch", "seeds", "dtype")
        words = [word for name in names for word in (f"--{name}", str(getattr(self, name)))]
        return words + ["--remat"] * self.remat + ["--unroll"] * self.unroll

    @property
    def images(self) -> int:
        """Images of one step: a search with two levels reads two batches."""
        return self.seeds * self.batch * (1 if self.work in ("ofa", "derived") else 2)


class Side:
    """A process that serves one side of a setting. Errors: `RuntimeError` if it does not start, or ends early."""

    def __init__(self, name: str, setting: Setting, options: Namespace, environment: dict[str, str]):
        kind, _, variant = name.partition("-")
        python = options.torch_python if kind == "torch" else sys.executable
        command = [python, str(SCRIPT), "--side", kind, "--serve", *setting.words()]
        command += ["--variant", variant] if variant else []
        command += ["--count"] * options.count
        self.name, self.setting, self.seconds = name, setting, list[float]()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.facts = self._read()

    def turn(self, steps: int = 1) -> None:
        """Time some steps."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.seconds += self._read()

    def end(self) -> dict:
        """What was measured; the process ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        peak = self._read()
        self.process.wait()
        median = statistics.median(self.seconds)
        return {
            **self.facts,
            **peak,
            "median_seconds": median,
            "spread": (min(self.seconds), max(self.seconds)),
            "images_per_second": round(self.setting.images / median, 1),
        }

    def _read(self) -> Any:
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            error = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(f"{self.name} failed: {error[-1] if error else 'no message'}")
        return json.loads(line)


def measure(
    named: dict[str, Setting], options: Namespace, environment: dict[str, str]
) -> tuple[dict[str, dict], dict[str, str]]:
    """Start a process for every side ("ours", "ours ...", "torch-VARIANT"), let them take turns.

    Gives the results by name, and what the sides that failed said.
    """
    sides: list[Side] = []
    failed: dict[str, str] = {}
    with console.status("") as status:
        try:
            for name, setting in named.items():
                status.update(f"{setting}: compiling {name}")
                try:
                    sides.append(Side(name.partition(" ")[0], setting, options, environment))
                    sides[-1].name = name
                except RuntimeError as error:
                    failed[name] = str(error)
                    console.print(str(error), highlight=False)
            for turn in range(options.rounds):
                for side in sides:
                    status.update(f"{side.setting}: turn {turn + 1} of {options.rounds}, {side.name}")
                    side.turn()
            return {side.name: side.end() for side in sides}, failed
        finally:
            for side in sides:
                side.process.kill()


def compare(setting: Setting, variants: Sequence[str], options: Namespace) -> dict:
    """One row of the table: ours and PyTorch's variants, and where it has a target the start of the command."""
    named = {"ours": setting} | {f"torch-{variant}": setting for variant in variants}
    with fresh_caches() as environment:
        results, failed = measure(named, options, environment)
        if setting.start_seconds is not None and "ours" in results:
            with console.status(f"{setting}: starting the command twice"):
                cold, warm = start(setting, environment), start(setting, environment)
            results["ours"] |= {"cold_start_seconds": cold["start_seconds"]}
            results["ours"] |= {"warm_start_seconds": warm["start_seconds"], "peak_mb_warm": warm["peak_mb"]}
    theirs = {name: result["median_seconds"] for name, result in results.items() if name != "ours"}
    best = min(theirs, key=theirs.__getitem__) if theirs else None
    ratio = round(results["ours"]["median_seconds"] / theirs[best], 3) if best and "ours" in results else None
    targets = {key: getattr(setting, key) for key in ("ratio", "cold_seconds", "start_seconds")}
    about = {key: value for key, value in dataclasses.asdict(setting).items() if key not in targets}
    return {**about, "title": str(setting), "targets": targets, "ratio": ratio, "best": best} | {
        "sides": results,
        "failed": failed,
    }


def start(setting: Setting, environment: dict[str, str]) -> dict:
    """Seconds from the command `dnas search` to its first step, see start.py."""
    command = [sys.executable, str(HERE / "start.py"), *setting.words()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise RuntimeError(f"start.py failed: {last[-1] if last else 'no message'}")
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def fresh_caches() -> Iterator[dict[str, str]]:
    """An environment whose caches (of JAX, of kept programs, of torch.compile, of Python) are empty and end with it.
    The kernels are there already: they are compiled once for a machine."""
    with tempfile.TemporaryDirectory() as cache:
        if (kernels := cache_dir() / "native").is_dir():
            shutil.copytree(kernels, Path(cache, "dnas", "native"))
        environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        environment |= {"XDG_CACHE_HOME": cache, "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{cache}/python", "PYTHONDONTWRITEBYTECODE": ""}
        environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several processes share an accelerator
        yield environment


def machine(options: Namespace) -> dict:
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
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    return facts | {"load_before": round(os.getloadavg()[0], 1), "commit": commit}
