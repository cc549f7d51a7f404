"""Who evaluates: this process, or several processes of this machine, each with its share of the cores or with a GPU.

A worker that dies is replaced, and its trial is run again. Workers end with the process that started them.
"""

import multiprocessing as mp
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from dnas import find
from dnas.blackbox.journal import Outcome
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import Evaluator, HostEvaluator

ATTEMPTS = 3  # after so many deaths of its workers a trial has failed


class Work(NamedTuple):
    """One trial. seed: of whatever is random in the evaluation."""

    trial: int
    architecture: np.ndarray
    fidelity: float
    seed: int


class Pool(Protocol):
    """What evaluates, `size` trials at a time."""

    size: int

    def submit(self, work: Work) -> None:
        """Take a trial; more than `size` wait for their turn."""
        ...

    def result(self) -> tuple[int, Outcome]:
        """Wait for the end of any trial. Errors: `StorageError` of an evaluation, which is not the trial's fault."""
        ...

    def drop(self) -> None:
        """Give up what is not finished."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


def on_host(evaluator: Evaluator | HostEvaluator) -> HostEvaluator:
    """An evaluator as one that is called with one architecture at a time."""
    if isinstance(evaluator, HostEvaluator):
        return evaluator
    by_fidelity = {**evaluator.cheaper, 1.0: evaluator.evaluate}
    compiled = {fidelity: jax.jit(function) for fidelity, function in by_fidelity.items()}

    def evaluate(architecture: np.ndarray, fidelity: float, seed: int) -> tuple[dict[str, float], float]:
        found = jax.device_get(compiled[fidelity](np.asarray(architecture, np.int32)[None]))
        return {name: float(value[0]) for name, value in found.values.items()}, float(found.seconds[0])

    return HostEvaluator(evaluator.space, evaluator.measures, evaluate, evaluator.fidelities)


def attempt(evaluator: HostEvaluator, work: Work) -> Outcome:
    """One evaluation; what a user could not have known before, a loss that is not a number say, is a failure."""
    began = time.perf_counter()
    try:
        return Outcome(*evaluator.evaluate(work.architecture, work.fidelity, work.seed))
    except StorageError:  # says nothing about the architecture
        raise
    except UserError as error:
        return Outcome({}, time.perf_counter() - began, str(error))
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        return Outcome({}, time.perf_counter() - began, "It needs more memory than the device has.")


class Here:
    """This process: one trial at a time."""

    size = 1

    def __init__(self, evaluator: HostEvaluator):
        self.evaluator, self.waiting = evaluator, deque[Work]()

    def submit(self, work: Work) -> None:
        self.waiting.append(work)

    def result(self) -> tuple[int, Outcome]:
        work = self.waiting.popleft()
        return work.trial, attempt(self.evaluator, work)

    def drop(self) -> None:
        self.waiting.clear()

    def close(self) -> None:
        self.drop()


class Processes:
    """So many processes of this machine."""

    def __init__(self, choice: str, size: int):
        self.choice, self.size = choice, size
        self.waiting, self.deaths = deque[Work](), dict[int, int]()
        self.busy: dict[int, Work] = {}
        self.workers = [Process(_serve, choice, i, size) for i in range(size)]

    def submit(self, work: Work) -> None:
        self.waiting.append(work)
        self._distribute()

    def result(self) -> tuple[int, Outcome]:
        while True:
            self._distribute()
            for ready in wait([self.workers[i].connection for i in self.busy]):
                i = next(i for i in self.busy if self.workers[i].connection is ready)
                try:
                    kind, answer = self.workers[i].connection.recv()
                except (EOFError, OSError):
                    if (failed := self._died(i)) is not None:
                        return failed
                    continue
                if kind == "storage":
                    raise StorageError(answer)
                if kind == "crash":
                    raise RuntimeError(f"An evaluation crashed in worker {i}:\n{answer}")
                return self.busy.pop(i).trial, answer

    def drop(self) -> None:
        self.waiting.clear()
        self.deaths.clear()
        for i in list(self.busy):
            self.busy.pop(i)
            self._replace(i)

    def close(self) -> None:
        for worker in self.workers:
            worker.end()

    def _distribute(self) -> None:
        for i in range(self.size):
            if i not in self.busy and self.waiting:
                self.busy[i] = self.waiting.popleft()
                with suppress(OSError):  # it is dead, which `result` notices
                    self.workers[i].connection.send(self.busy[i])

    def _died(self, i: int) -> tuple[int, Outcome] | None:
        """Another worker, and its trial again, unless it costs one worker after the other."""
        work = self.busy.pop(i)
        self._replace(i)
        self.deaths[work.trial] = self.deaths.get(work.trial, 0) + 1
        if self.deaths[work.trial] < ATTEMPTS:
            self.waiting.appendleft(work)
            return None
        del self.deaths[work.trial]
        return work.trial, Outcome({}, 0.0, f"Its worker died {ATTEMPTS} times, perhaps for want of memory.")

    def _replace(self, i: int) -> None:
        self.workers[i].end()
        self.workers[i] = Process(_serve, self.choice, i, self.size)


class Process:
    """A process, and the connection to it: target(connection, *args) is what it does until it is ended."""

    def __init__(self, target: Callable[..., None], *args: Any):
        spawn = mp.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=target, args=(theirs, *args), daemon=True)
        self.process.start()
        theirs.close()  # so that its death ends the connection

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, choice: str, number: int, size: int) -> None:
    """What a worker does until it is ended."""
    from dnas.runs import loop

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    take_share(number, size)
    loop.prepare_process()
    evaluator: HostEvaluator | None = None
    while True:
        work = connection.recv()
        answer: tuple[str, Any]
        try:
            evaluator = evaluator or on_host(find.resolve("evaluator", choice))
            answer = "outcome", attempt(evaluator, work)
        except StorageError as error:
            answer = "storage", str(error)
        except Exception:
            answer = "crash", traceback.format_exc()
        connection.send(answer)


def end_with_parent() -> None:
    """What a thread of a worker does, so that none is left behind."""
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def take_share(number: int, size: int) -> None:
    """The cores and the GPU of a worker, before JAX looks for them."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[number % len(cores) :: size]) or {cores[number % len(cores)]})
    if gpus := _gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / -(-size // len(gpus)):.2f}")


def _gpus() -> list[str]:
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu for gpu in chosen.split(",") if gpu]
    return [str(i) for i, _ in enumerate(sorted(Path("/proc/driver/nvidia/gpus").glob("*")))]
