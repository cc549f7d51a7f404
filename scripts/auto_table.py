"""What `dnas auto` makes of seven data sets beside its baselines: images, sentences, recordings, tables.

    .venv/bin/python scripts/auto_table.py --minutes 20 --out runs/auto
    .venv/bin/python scripts/auto_table.py --minutes 20 --out runs/auto --only wine digits

Every row is one `dnas auto`, run for so many minutes; what is finished is read, what was interrupted goes on. The row
has the test scores of the network that was kept and of the best baseline by test score, each with its standard error
over test examples, and whether the network beats the baseline (by more than one standard error of the difference),
ties, or loses. The test part selects nothing. Writes OUT/auto.json, or --results FILE, and prints the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from missing_values import write

from dnas.automl.outcome import shown
from dnas.files import atomic_write
from dnas.reports.tables import as_markdown
from dnas.runs import environment
from dnas.tasks.task import Score

MISSING = "missing_values"
DATA = {
    "digits": "digits",
    "fashion_mnist": "fashion_mnist:limit=10000",
    "sst2": "sst2",
    "spoken_digits": "spoken_digits",
    "wine": "wine",
    "breast_cancer": "breast_cancer",
    MISSING: "",
}
HEADER = ("data", "kept", "test", "best baseline", "its test", "result", "minutes")


def made(name: str, out: Path, minutes: float) -> dict[str, Any]:
    """The summary of a run, which is begun or goes on where it has not ended."""
    folder, data, more = out / name, DATA[name], list[str]()
    if name == MISSING:
        data, more = str(out / f"{MISSING}.csv"), ["--target", "progression"]
        out.mkdir(parents=True, exist_ok=True)
        write(Path(data))
    if not (folder / "summary.json").exists():
        words = ["auto", data, *more, "--out", str(folder), "--minutes", f"{minutes:g}"]
        words += ["--resume"] * (folder / "auto.json").exists()
        subprocess.run([sys.executable, "-m", "dnas", *words], check=True)
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def row(name: str, summary: dict[str, Any]) -> list[str]:
    """The cells of a data set."""
    score, compared = Score(summary["measure"], summary["more"]), summary["compared"]
    tests = summary["tests"]
    own, rival = (shown(score, tests[one]) for one in (summary["winner"], compared["baseline"]))
    unit = "" if score.name == "accuracy" else f" ({score.name})"
    words = [f"{name}{unit}", summary["winner"], own, compared["baseline"], rival, compared["stands"]]
    return [*words, f"{summary['seconds'] / 60:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--only", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    command = f"python scripts/auto_table.py --minutes {options.minutes:g}"
    summaries = dict[str, Any]()
    for name in options.only:
        summaries[name] = made(name, options.out, options.minutes)
        about = {"command": command, "minutes": options.minutes, "environment": environment.described(command)}
        atomic_write(options.results or options.out / "auto.json", json.dumps(about | {"runs": summaries}, indent=1))
        print(as_markdown(HEADER, [row(one, summary) for one, summary in summaries.items()]), flush=True)
    good = sum(summary["compared"]["stands"] != "loses" for summary in summaries.values())
    print(f"It beats or ties the best baseline on {good} of {len(summaries)}.")


if __name__ == "__main__":
    main()
