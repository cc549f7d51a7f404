"""Try to break dnas: kill runs, damage their files, type random settings; say what did not hold.

    .venv/bin/python scripts/campaign.py --kills 20 --damages 100 --settings 200 --seed 0

A run that was killed must end as if it had not been. A damaged folder must end like the whole one, or be refused in one
sentence. A random setting must be built or be refused in one sentence, before a folder is made. Exit code 1 if anything
did not hold; everything is drawn from the seed, so that it can be drawn again.
"""

import argparse
import contextlib
import dataclasses
import inspect
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from dnas import cli, find, retrain
from dnas import config as configs
from dnas.architectures.genotype import parse
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.errors import UserError, run_script
from dnas.runs import checkpoints
from dnas.search.job import Job
from dnas.training.job import Job as Training

PLAIN = AugmentConfig(pad=0, flip=False)
TINY = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1",
    data="digits:limit=200",
    search=SearchConfig(epochs=4, cells=1, channels=2, batch_size=16, augment=PLAIN),
    retrain=RetrainConfig(epochs=4, cells=1, channels=2, batch_size=16, auxiliary=0, augment=PLAIN),
)
CELL = "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|"
RUNS = {  # what is killed and damaged: command and method
    "search": ("search", "darts"),
    "phases": ("search", "drnas:partial=1+1,keep=2"),
    "stops": ("search", "darts_plus:still=2"),
    "retrain": ("retrain", "darts"),
}
NUMBERS = ("0", "-1", "1", "2", "7", "0.5", "1e-30", "1e30", "1e999", "nan", "inf", "10000000000000", "true", "", "x")
CHOICES = {
    "space": ("darts:nodes=2,operations=none+skip_connect", "darts", "nasbench201", "robust"),
    "data set": ("digits", "fashion_mnist", "npz", "image_folder", "cifar10"),
}
DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "emptied": lambda content, draw: b"",
    "cut": lambda content, draw: content[: draw.randrange(len(content) + 1)],
    "flipped": lambda content, draw: flipped(content, draw),
    "garbage": lambda content, draw: draw.randbytes(max(len(content), 10)),
    "not UTF-8": lambda content, draw: b"\xff\xfe" + content,
    "a list": lambda content, draw: b"[1, 2]\n",
    "a number": lambda content, draw: b"7\n",
    "null": lambda content, draw: b"null\n",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("kills", 20), ("damages", 100), ("settings", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options, console, failed = parser.parse_args(), Console(), list[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder, draw = Path(scratch), random.Random(options.seed)
        whole = {name: uninterrupted(folder / name, *RUNS[name]) for name in RUNS} if options.kills else {}
        for name, tries in (
            ("kill", [lambda: kill(folder, draw, whole)] * options.kills),
            ("damage", list(damages(folder, draw, options.damages)) if options.damages else []),
            ("setting", [lambda: setting(draw)] * options.settings),
        ):
            said: dict[str, int] = {}
            for number, attempt in enumerate(track(tries, f"{name}s", console=Console(stderr=True)), 1):
                try:
                    what = attempt()
                except Failure as failure:
                    failed.append(f"{name} {number}: {failure}")
                else:
                    said[what] = said.get(what, 0) + 1
            for what, count in sorted(said.items()):
                console.print(f"{name}: {count} {what}", highlight=False, markup=False)
    for line in failed:
        console.print(f"FAILED {line}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{len(failed)} of {options.kills + options.damages + options.settings} did not hold.")
    return bool(failed)


class Failure(Exception):
    """Something did not hold."""


def flipped(content: bytes, draw: random.Random) -> bytes:
    """With one bit changed."""
    if not content:
        return content
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]


# Kills.


def command(what: str, method: str, folder: Path) -> list[str]:
    """The arguments of a run that has not begun."""
    (folder.parent / "tiny.json").write_text(json.dumps(configs.to_dict(dataclasses.replace(TINY, method=method))))
    if what == "search":
        return ["search", str(folder.parent / "tiny.json"), "--out", str(folder), "--quiet"]
    return ["retrain", CELL, "--config", str(folder.parent / "tiny.json"), "--out", str(folder), "--quiet"]


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dnas", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def uninterrupted(folder: Path, what: str, method: str) -> tuple[float, dict[str, Any]]:
    """Seconds that a run takes, where its programs are kept, and what it leaves."""
    for place in (folder.with_name(f"{folder.name}_first"), folder):
        began, process = time.perf_counter(), start(command(what, method, place))
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"An uninterrupted run ended with {process.returncode}: {errors}")
        seconds = time.perf_counter() - began
    return seconds, left(folder)


def left(folder: Path) -> dict[str, Any]:
    """What a run leaves that does not depend on when and how it was started."""
    names = ("metrics.jsonl", "mix.jsonl", "genotype.json", "config.json", "data.json")
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
    found |= {f"genotypes/{path.name}": path.read_bytes() for path in (folder / "genotypes").glob("*")}
    for step in checkpoints.steps(folder):
        about = checkpoints.read_about(folder, step)
        found[f"checkpoint {step}"] = about["crc32"]
    return found


def kill(folder: Path, draw: random.Random, whole: dict[str, tuple[float, dict[str, Any]]]) -> str:
    """Start, stop a few times at random, go on to the end, compare."""
    name = draw.choice(list(RUNS))
    seconds, expected = whole[name]
    out = folder / f"killed_{draw.getrandbits(40)}"
    times, signals = [draw.uniform(0.1, 1.1) * seconds for _ in range(draw.randint(1, 3))], []
    for moment in times:
        signals.append(draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        process = start(next_command(name, out))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.send_signal(signals[-1])
        _, errors = process.communicate()
        if "Traceback" in errors or process.returncode not in (
            0,
            130,
            -signal.SIGKILL,
            -signal.SIGTERM,
            -signal.SIGINT,
        ):
            raise Failure(f"{name} at {moment:.1f} s by {signals[-1].name}: ended with {process.returncode}: {errors}")
    process = start(next_command(name, out))
    _, errors = process.communicate()
    told = f"{name} killed at {', '.join(f'{t:.1f} s by {s.name}' for t, s in zip(times, signals, strict=True))}"
    if process.returncode:
        raise Failure(f"{told}: the last start ended with {process.returncode}: {errors}")
    found = left(out)
    if differing := sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key)):
        raise Failure(f"{told}: other {', '.join(differing)}")
    shutil.rmtree(out)
    return f"{name}: identical"


def next_command(name: str, out: Path) -> list[str]:
    """What a user types: begin, or go on with what was begun."""
    if (out / "config.json").exists():
        return [RUNS[name][0], "--out", str(out), "--resume", "--quiet"] if began(name, out) else again(name, out)
    return again(name, out)


def began(name: str, out: Path) -> bool:
    """Whether a training noted its cell before it was killed; a search needs none."""
    return name != "retrain" or (out / "genotype.json").exists()


def again(name: str, out: Path) -> list[str]:
    if (out / "config.json").exists():
        shutil.rmtree(out)
    return command(*RUNS[name], out)


# Damage.


def damages(folder: Path, draw: random.Random, count: int) -> Iterator[Callable[[], str]]:
    """As many tries; the run that they damage is made once, stopped at half of it."""
    half = folder / "half"
    finished = folder / "finished"
    with stopped_after(2):
        call(command(*RUNS["search"], half))
    shutil.copytree(half, finished)
    call(["search", "--out", str(finished), "--resume", "--quiet"])
    expected = left(finished)
    for number in range(count):
        source, out = draw.choice((half, half, finished)), folder / f"damaged_{number}"
        yield partial(damage, source, out, draw, expected)


def damage(source: Path, out: Path, draw: random.Random, expected: dict[str, Any]) -> str:
    """One file of a copy is damaged; the run goes on, or is reported or shown."""
    shutil.copytree(source, out)
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    path, how = draw.choice(files), draw.choice([*DAMAGES, "removed", "a folder", "a row"])
    name = path.relative_to(out)
    if how in DAMAGES:
        path.write_bytes(DAMAGES[how](path.read_bytes(), draw))
    elif how == "a row" and path.suffix == ".jsonl":
        rows = path.read_bytes().splitlines(keepends=True)
        rows[draw.randrange(len(rows))] = draw.choice((b"{broken\n", b"[]\n", b'{"step": 1}\n'))
        path.write_bytes(b"".join(rows))
    else:
        path.unlink()
        if how == "a folder":
            path.mkdir()
    action = draw.choice(("resume", "resume", "resume", "report", "show", "retrain"))
    arguments = {
        "resume": ["search", "--out", str(out), "--resume", "--quiet"],
        "report": ["report", str(out)],
        "show": ["show", str(out)],
        "retrain": ["retrain", str(out), "--out", str(out) + "_trained", "--quiet"],
    }[action]
    told = f"{name} of the {source.name} run, {how}, then {action}"
    with contextlib.ExitStack() as stack:
        if action == "retrain":
            stack.enter_context(stopped_after(0))
        said = call(arguments, told)
    if said and said.count("\n") > 1:
        raise Failure(f"{told}: more than one sentence: {said}")
    if action == "resume" and not said:
        found = left(out)
        if differing := sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key)):
            raise Failure(f"{told}: other {', '.join(differing)}")
    shutil.rmtree(out)
    return f"{action}: {'refused in a sentence' if said else 'as if whole'}"


@contextlib.contextmanager
def stopped_after(epochs: int) -> Iterator[None]:
    """As by Ctrl-C after so many epochs; 0: before anything is trained."""
    loop = import_module("dnas.runs.loop")
    drive = loop.drive

    def stopping(run, progress, advance, finish, **options):
        def finish_and_stop(epoch, progress):
            ended = finish(epoch, progress)
            if epoch >= epochs:
                os.kill(os.getpid(), signal.SIGINT)
            return ended

        if not epochs:
            raise loop.Interrupted("stopped")
        return drive(run, progress, advance, finish_and_stop, **options)

    loop.drive = stopping
    try:
        yield
    finally:
        loop.drive = drive


def call(arguments: list[str], told: str = "") -> str:
    """Run a command here; gives the sentence that refused it, or nothing."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            code = cli.main(arguments)
    except Exception:
        raise Failure(f"{told}: {traceback.format_exc(limit=-3)}") from None
    if code not in (0, 2, 130):
        raise Failure(f"{told}: exit code {code}: {errors.getvalue()}")
    sentences = [line for line in errors.getvalue().splitlines() if line.startswith("dnas: ")]
    return "\n".join(sentences) if code == 2 else ""


# Settings.


class Built(Exception):
    """A run was put together; here it ends."""


def setting(draw: random.Random) -> str:
    """A config of random choices, of which most cannot be meant, is built or refused."""
    config = random_config(draw)
    job = Job
    arguments: Any = (parse("DARTS_V2"),) if draw.random() < 0.2 else ()
    go, trains = (Training.go, True) if arguments else (job.go, False)

    def stop(*_: Any, **__: Any) -> None:
        raise Built

    target = Training if trains else job
    target.go = stop  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            made = configs.from_dict(config)
            run = retrain.run if trains else import_module("dnas.search.run").run
            run(made, *arguments, Path(scratch) / "run", quiet=True)
        except Built:
            return "built"
        except UserError as error:
            if "\n" in str(error) or len(str(error)) > 600 or not str(error).endswith((".", "?")):
                raise Failure(f"{config}: not one sentence: {error}") from None
            if (Path(scratch) / "run").exists():
                raise Failure(f"{config}: refused after its folder was made: {error}") from None
            return "refused in a sentence"
        except Exception:
            raise Failure(f"{config}: {traceback.format_exc(limit=-3)}") from None
        finally:
            target.go = go  # type: ignore[method-assign]
    raise Failure(f"{config}: neither built nor refused")


def random_config(draw: random.Random) -> dict[str, Any]:
    """Tiny, and then a few fields and settings at random."""
    config = configs.to_dict(TINY) | {
        "space": random_choice(draw, "space", CHOICES["space"]),
        "method": random_choice(draw, "method", tuple(find.described("method"))),
    }
    if draw.random() < 0.3:
        config["data"] = random_choice(draw, "data set", CHOICES["data set"])
    for part in ("search", "retrain"):
        for name, value in list(config[part].items()):
            if isinstance(value, (int, float)) and draw.random() < 0.04:
                config[part][name] = number(draw, value)
            elif isinstance(value, dict) and draw.random() < 0.1:
                inner = draw.choice(list(value))
                choices = tuple(find.described(inner)) if inner in find.PACKAGES else ()
                new = random_choice(draw, inner, choices) if choices else number(draw, value[inner])
                config[part][name] = value | {inner: new}
    return config


def number(draw: random.Random, like: Any) -> Any:
    """A number of a field's type, or not."""
    if isinstance(like, bool):
        return draw.choice((True, False, True, False, 1, "yes"))
    whole = draw.choice((0, -1, 1, 2, 3, 5, 10**12, -(10**12), 2**31))
    return (
        whole if isinstance(like, int) else draw.choice((float(whole), 1e-30, 1e300, float("nan"), float("inf"), 0.5))
    )


def random_choice(draw: random.Random, what: str, names: tuple[str, ...]) -> str:
    """A name with settings, some of which are nonsense."""
    name = draw.choice(names) if draw.random() < 0.98 else "nothing"
    if name not in find.described(what):
        return name
    parameters = inspect.signature(find.available(what)[name]).parameters
    settings = []
    for parameter in parameters.values():
        if draw.random() < 0.4:
            odd = [*NUMBERS, "1+2", "none", "none+skip_connect", "a,b", "4+2", "s4", "second", "gdas", "code"]
            value = draw.choice(odd) if draw.random() < 0.25 else parameter.default
            settings.append(f"{parameter.name}={value}")
    return f"{name}:{','.join(settings)}" if settings else name


if __name__ == "__main__":
    run_script(main)
