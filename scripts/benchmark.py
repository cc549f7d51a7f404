"""Time dnas against PyTorch on this machine, side by side.

    python scripts/benchmark.py --quick             # two works, eager PyTorch: within 10 minutes on 2 cores
    python scripts/benchmark.py                     # every work and every PyTorch variant, and ours against ours
    python scripts/benchmark.py --works darts-first --batches 16 64
    python scripts/benchmark.py --own               # several seeds, rematerialisation, 20 cells
    python scripts/benchmark.py --scaling           # cost against cells, channels and edges, with a picture
    python scripts/benchmark.py --gpu               # on an accelerator: precisions, batches, seeds, peaks
    python scripts/benchmark.py --side ours --work darts-first --cells 8 --channels 16 --batch 16 --steps 5 --json

Every side is a process of its own, all on the same cores; once all are compiled they take turns, see benchmarks/.
Needs torch: pip install "dnas[bench]", or name another environment with torch and rich by `--torch-python`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import gpu  # noqa: E402
import own  # noqa: E402
import scaling  # noqa: E402
import sides  # noqa: E402
import targets  # noqa: E402
import turns  # noqa: E402
from turns import Setting  # noqa: E402

TABLE = (
    Setting("darts-first", 8, 16, 16, ratio=0.5, cold_seconds=60, start_seconds=8),
    Setting("darts-first", 8, 16, 64, ratio=0.5),
    Setting("darts-second", 8, 16, 16, ratio=0.6, cold_seconds=120),
    Setting("darts-second", 8, 16, 64, ratio=0.6),
    Setting("nasbench201", 5, 16, 64, ratio=0.6, start_seconds=8),
    Setting("fbnet", 1, 16, 32, ratio=0.7),
    Setting("ofa", 2, 16, 32, ratio=0.7),
    Setting("derived", 20, 36, 32, ratio=0.8),
    Setting("rnn", 1, 300, 64, nodes=8, ratio=0.8, twice=2.2),
    Setting("transformer", 3, 128, 64, ratio=0.8, twice=2.2),
    Setting("transformer-lm", 3, 128, 64, ratio=0.8, twice=2.2),
)
QUICK = (TABLE[0], TABLE[4])
TINY = Setting("nasbench201", 1, 2, 4)


def main() -> int:
    options = arguments()
    if options.side:
        sides.run(options)
        return 0
    if not has_torch(options) and not (options.own or options.scaling):
        print(f"No torch and rich in {options.torch_python}: only our side is timed; name another by --torch-python.")
        options.variants = []
    document = {"command": typed_command(), **turns.machine(options)}
    try:
        if options.gpu:
            return accelerator(document, options)
        return scale(document, options) if options.scaling else table(document, options)
    except RuntimeError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two works and eager PyTorch only")
    parser.add_argument("--own", action="store_true", help="only ours against ours")
    parser.add_argument("--scaling", action="store_true", help="only cost against size")
    parser.add_argument("--gpu", action="store_true", help="only the accelerator's part")
    parser.add_argument("--tiny", action="store_true", help="of --own, --scaling or --gpu: sizes for a test")
    parser.add_argument("--works", nargs="*", choices=sides.WORKS, help="only these works of the table")
    parser.add_argument("--batches", nargs="*", type=sides.positive, help="only these batches")
    parser.add_argument("--dtypes", nargs="*", choices=gpu.DTYPES, default=gpu.DTYPES, help="of --gpu")
    parser.add_argument("--seed-counts", nargs="*", type=sides.positive, help="of --gpu")
    parser.add_argument("--variants", nargs="*", choices=sides.VARIANTS, help="of PyTorch; default: all, quick: eager")
    parser.add_argument("--rounds", type=sides.positive, default=5, help="turns of every side")
    parser.add_argument("--out", type=Path, help="write the results as JSON here; --scaling: and a .png beside it")
    parser.add_argument(
        "--torch-python", default=sys.executable, metavar="PATH", help="the Python that has torch and rich"
    )
    sides.add_options(parser)
    options = parser.parse_args()
    if options.variants is None:
        options.variants = [name for name in sides.VARIANTS if name != "compile" or not options.quick]
    return options


def table(document: dict, options: argparse.Namespace) -> int:
    """The works against PyTorch, and ours against ours where nothing else was asked for."""
    chosen = () if options.own else QUICK if options.quick else TABLE
    chosen = [setting for setting in chosen if not options.works or setting.work in options.works]
    chosen = [setting for setting in chosen if not options.batches or setting.batch in options.batches]
    rows, found = [], []
    for setting in chosen:
        rows.append(turns.compare(setting, options.variants, options))
        found = list(targets.verdicts(rows))
        targets.show(rows)
        save(document | {"rows": rows, "targets": [v._asdict() for v in found]}, options)
    if options.own or not (options.quick or options.works or options.batches):
        peak = rows[0]["sides"][rows[0]["best"]]["peak_mb"] if rows and rows[0]["best"] else None
        more, verdicts = own.compare(TINY if options.tiny else TABLE[0], options, peak)
        rows, found = rows + more, found + verdicts
        targets.show(more)
    targets.show_verdicts(found)
    save(document | {"rows": rows, "targets": [v._asdict() for v in found]}, options)
    return 0


def scale(document: dict, options: argparse.Namespace) -> int:
    """Cost against size, as JSON and a picture."""
    base = Setting(cells=options.cells, channels=options.channels, nodes=options.nodes, batch=options.batch)
    points = {"cells": (1, 2)} if options.tiny else scaling.POINTS
    rows = scaling.run(base, options, points)
    slopes = {
        axis: {name: scaling.exponent(rows, axis, name) for name in ("median_seconds", "cold_seconds")}
        for axis in points
    }
    out = options.out or ROOT / "benchmarks" / "results" / f"{document['date']}-scaling.json"
    options.out = out
    save(document | {"base": str(base), "exponents": slopes, "rows": rows}, options)
    scaling.draw(rows, base, out.with_suffix(".png"))
    print(f"Exponents (1: proportional): {json.dumps(slopes)}\nOpen {out.with_suffix('.png')}")
    return 0


def accelerator(document: dict, options: argparse.Namespace) -> int:
    """The accelerator's part."""
    options.count = True
    plan = gpu.TINY if options.tiny else gpu.WHOLE
    works = tuple(work for work in plan.works if not options.works or work.work in options.works)
    plan = plan._replace(works=works, batches=tuple(options.batches or plan.batches))
    plan = plan._replace(seeds=tuple(options.seed_counts or plan.seeds))
    found = gpu.run(plan, tuple(options.dtypes), tuple(options.variants), options)
    save(document | found, options)
    targets.show([*found["rows"], *found["seeds"]])
    gpu.show(found)
    return 0


def save(document: dict, options: argparse.Namespace) -> None:
    """Write what is known so far: nothing finished is lost."""
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n")


def has_torch(options: argparse.Namespace) -> bool:
    """Whether the other Python can time PyTorch."""
    look = "from importlib.util import find_spec as f; import sys; sys.exit(None in (f('torch'), f('rich')))"
    try:
        return subprocess.run([options.torch_python, "-c", look]).returncode == 0
    except OSError:
        return False


def typed_command() -> str:
    """What was typed, without where this machine keeps its Pythons."""
    words = iter(["scripts/benchmark.py", *sys.argv[1:]])
    return " ".join(word for word in words if word != "--torch-python" or not next(words))


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
