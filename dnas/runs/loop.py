"""The loop of a run on the host: chunks of jitted steps, a progress bar, checkpoints, and an orderly end.

Used by search and retraining alike. What changes is one tree, `Progress`: the state and the sums of the epoch so far,
so that a run interrupted in the middle of an epoch ends bit-identical to one that was not.
"""

import gc
import math
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from dnas import grid
from dnas.config import Config
from dnas.data._files import check_memory as check_bytes
from dnas.errors import UserError
from dnas.files import storage
from dnas.kernels import native
from dnas.paths import cache_folder, check_folders_of_user
from dnas.runs import devices
from dnas.runs.records import Run
from dnas.types import Tree

CHUNK_SECONDS = 0.5  # how often the host looks up: for the bar, a signal, a loss that is not a number

console = Console(stderr=True)


class Interrupted(Exception):
    """The run was told to stop, and has written a checkpoint; the text says how to go on."""


class Progress(NamedTuple):
    """state: what is trained; every leaf has the seeds S as first axis. sums: of the epoch's step metrics [S].
    bad_step: the first step with a loss that is not finite, or -1 [S]."""

    state: Any
    sums: Tree
    bad_step: jax.Array


Advance = Callable[[Progress, Any], Progress]  # (progress, number of steps) -> progress


class Epoch(NamedTuple):
    """What follows after an epoch. metric: to keep the best checkpoint by. progress: to go on from instead, if another,
    perhaps of an earlier epoch. stop: whether to end here."""

    metric: float | None
    progress: Progress | None = None
    stop: bool = False


Finish = Callable[[int, Progress], Epoch]  # after epoch (counted from 1)


def start(state: Any, sums: Tree) -> Progress:
    """The progress of a run that has not begun; `state.step` is [S]."""
    return Progress(state, sums, jnp.full(state.step.shape, -1, jnp.int32))


def accumulate(progress: Progress, state: Any, metrics: Any, losses: list[jax.Array]) -> Progress:
    """The progress of one seed after one more step."""
    finite = jnp.all(jnp.isfinite(jnp.stack(losses)))
    bad = jnp.where((progress.bad_step < 0) & ~finite, state.step - 1, progress.bad_step)
    return Progress(state, jax.tree.map(jnp.add, progress.sums, metrics), bad)


def drive(
    run: Run,
    progress: Progress,
    advance: Advance,
    finish: Finish,
    *,
    epochs: int,
    steps_per_epoch: int,
    title: str,
    command: str = "search",
    quiet: bool = False,
    profile: Path | None = None,
    first: tuple[int, int] = (0, 0),
    until: float = math.inf,
    extra: Callable[[], dict[str, Any]] = dict,
) -> Progress:
    """Run to the last epoch, checkpointing after every `checkpoint_epochs` and when told to stop.

    first: the step and the epoch that were done before. until: of `time.monotonic`, when it is to stop. extra: what
    else a checkpoint notes. profile: a folder for a trace of the second chunk of steps, which compiles nothing.
    A seed whose loss is not finite is said once, and the others go on.
    Errors: `UserError` when no seed has a finite loss, `Interrupted` when it is to stop; both leave a good checkpoint.
    """
    total, every = first[0] + epochs * steps_per_epoch, run.config.checkpoint_epochs
    step, count, chunk, ended = int(devices.fetch(progress.state.step).max()), 1, 0, False
    known = devices.fetch(progress.bad_step)
    _prepare(profile)

    def epoch_at(step: int) -> int:
        return first[1] + (step - first[0]) // steps_per_epoch

    with _stop_signals(until) as stopped, _steps_bar(quiet) as bar:
        task = bar.add_task(title, total=total, completed=step, note="compiling")
        while step < total and not ended:
            taken, began = min(count, steps_per_epoch - (step - first[0]) % steps_per_epoch), time.perf_counter()
            with _traced(profile if chunk == 1 else None):
                progress = advance(progress, np.int32(taken))
                bad = devices.fetch(progress.bad_step)  # waits for the device
            if chunk == 0:
                native.keep_memory()
            chunk += 1
            known = _told(run, bad, known, epoch_at, command)
            wanted = round(CHUNK_SECONDS * taken / (time.perf_counter() - began))
            count = 2 if step == 0 else max(1, min(wanted, 4 * count))
            count, stop = devices.agree(count, stopped())
            step += taken
            bar.update(task, completed=step, note=f"epoch {epoch_at(step - 1) + 1}/{first[1] + epochs}")
            if (step - first[0]) % steps_per_epoch == 0:
                epoch = epoch_at(step)
                metric, replaced, ended = finish(epoch, progress)
                progress = (replaced or progress)._replace(sums=jax.tree.map(jnp.zeros_like, progress.sums))
                reached, step = step, int(devices.fetch(progress.state.step).max())
                if epoch % every == 0 or step == total or ended or step < reached:
                    run.checkpoint(step, progress, {"step": step, "epoch": epoch_at(step)} | extra(), metric)
            if stop and step < total and not ended:
                run.checkpoint(step, progress, {"step": step, "epoch": epoch_at(step)} | extra(), interim=True)
                break
        if devices.agree(count, stopped())[1]:  # also after the last step: what is to come may take long
            raise Interrupted(f"Stopped at step {step} of {total}. Go on with: {resume_command(run.folder, command)}")
    return progress


def _steps_bar(quiet: bool) -> Bar:
    """Steps done, time elapsed, time left, and a note."""
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=quiet or not console.is_terminal or not devices.is_first_host(),
    )


def resume_command(folder: Path, command: str = "search") -> str:
    """What to type to go on with a search or a retraining."""
    return f"{program()} {command} --out {quoted(folder)} --resume"


def program() -> str:
    """How this installation's command line is called: `dnas` where the shell finds it."""
    found = shutil.which("dnas")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "dnas"
    beside = Path(sys.executable).with_name("dnas")
    return quoted(beside) if beside.exists() else f"{quoted(Path(sys.executable))} -m dnas"


def quoted(path: Path) -> str:
    """A path as one types it in a shell: relative to the working folder if it lies below, quoted if need be."""
    path = path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    return shlex.quote(str(path))


def typed_command() -> str:
    """The command that started this program, for the record."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def say(text: str, quiet: bool = False) -> None:
    """Print above the progress bar."""
    if not quiet and devices.is_first_host():
        console.print(text, highlight=False, soft_wrap=True)


@contextmanager
def counting(
    title: str, unit: str, quiet: bool = False, total: int | None = None, each: int = 1
) -> Iterator[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """Show how often a function was called, which the decorator that this gives counts. total: how often it will be,
    where that is known. each: as how many a call counts."""
    hidden = quiet or not console.is_terminal or not devices.is_first_host()
    known = (BarColumn(), MofNCompleteColumn()) if total else (TextColumn("{task.completed}"),)
    left = (TextColumn("left"), TimeRemainingColumn()) if total else ()
    columns = TextColumn("{task.description}:"), *known, TextColumn(unit), TimeElapsedColumn(), *left
    with Bar(*columns, console=console, disable=hidden) as bar:
        task = bar.add_task(title, total=total)

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                value = function(*args, **kwargs)
                bar.advance(task, each)
                return value

            return call

        yield counted


def prepare_process() -> None:
    """Settings of a process that searches or trains; call it before JAX computes anything.

    Errors: `StorageError` where the user's folders cannot be.
    """
    check_folders_of_user()
    native.one_heap()
    devices.join_hosts()
    use_compilation_cache()


def use_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, so that the second start is quick."""
    folder = cache_folder("xla")
    jax.config.update("jax_compilation_cache_dir", None if folder is None else str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def check_memory(shapes: Tree) -> None:
    """Refuse a run whose state does not fit beside a copy of itself, where it lies in this machine's memory.

    Errors: `UserError`.
    """
    if jax.default_backend() != "cpu":
        return
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    check_bytes(size, "Weights, statistics and optimisers of this run", "choose fewer seeds, cells or channels")


def forget_programs() -> None:
    """Give back what was compiled for runs that have ended; for a process that runs many.

    Every program maps some pieces of memory, of which a process may have 65,530 (Linux' default): then it crashes.
    """
    gc.collect()
    jax.clear_caches()


def _not_finite(run: Run, bad: np.ndarray, epoch_at: Callable[[int], int], command: str) -> UserError:
    """bad: of every seed the step, -1 where there is none [S]."""
    step, i = int(bad.max()), int(bad.argmax())
    saved = run.newest_step()
    kept = f"The checkpoint of step {saved} is kept in {run.folder}." if saved else "There is no checkpoint before it."
    whose = _whose(run, command, i) if run.config.seeds > 1 else "The loss"
    return UserError(
        f"{whose} became NaN or infinite at step {step} (epoch {1 + epoch_at(step)}). {kept} "
        f"{_gentler(run.config, command)}"
    )


def _told(run: Run, bad: np.ndarray, known: np.ndarray, epoch_at: Callable[[int], int], command: str) -> np.ndarray:
    """The steps at which seeds diverged, after a line for each new one. Errors: `UserError` if all did."""
    if (bad >= 0).all():
        raise _not_finite(run, bad, epoch_at, command)
    for i in map(int, np.flatnonzero(bad > known)):
        say(f"{_whose(run, command, i)} became NaN or infinite at step {bad[i]}: it diverged, others go on.")
    return bad


def _whose(run: Run, command: str, i: int) -> str:
    """The loss of seed number i."""
    point = grid.text(grid.row(run.config, command, i))
    return f"The loss of seed {run.config.seed + i}" + (f", {point}," if point else "")


def _gentler(config: Config, command: str) -> str:
    """What takes smaller steps, by its names in the config and what it is now."""
    plan = config.search if command == "search" else config.retrain
    rates = [f"{command}.weights.learning_rate is {plan.weights.learning_rate:g}"]
    if command == "search":
        rates.append(f"search.alphas.learning_rate {config.search.alphas.learning_rate:g}")
    clip = f"{plan.weights.clip:g}" if plan.weights.clip else "0, none"
    return f"Try a smaller learning rate, {', '.join(rates)}, or a tighter clip, {command}.weights.clip is {clip}."


def _prepare(folder: Path | None) -> None:
    """Make the folder of a trace, if one is wanted. Errors: `StorageError` if nothing can be written there."""
    if folder is None:
        return
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(folder))


@contextmanager
def _traced(folder: Path | None) -> Iterator[None]:
    """Profile what happens inside, if there is a folder for it."""
    if folder is None:
        yield
        return
    with storage(folder), jax.profiler.trace(str(folder), create_perfetto_trace=True):
        yield
    say(f"Profile: tensorboard --logdir {quoted(folder)}, or open the .json.gz file below it in Perfetto.")


@contextmanager
def _stop_signals(until: float) -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM, or a time, into a question; a second signal ends the program as usual."""
    seen: list[int] = []
    previous: dict[int, Any] = {}

    def note(number, frame):
        if seen:
            signal.signal(number, previous[number])
            signal.raise_signal(number)
        seen.append(number)
        say("Stopping after this chunk of steps and writing a checkpoint ...")

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread: signals are somebody else's
        previous = {}
    try:
        yield lambda: bool(seen) or time.monotonic() > until
    finally:
        for caught, handler in previous.items():
            signal.signal(caught, handler)
