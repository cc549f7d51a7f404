"""Workers of a Ray cluster: an evaluation on each core, or on each GPU where the cluster has any.

Ray runs the trial of a killed worker or machine again; what the program that started them had finished is in the
journal (`journal.py`), and its end is the end of what is running. Needs `pip install dnas[cluster]`.
"""

import importlib.util
import os
import socket
from functools import cache
from typing import Any

from dnas import find
from dnas.blackbox.journal import Outcome
from dnas.blackbox.workers import ATTEMPTS, Work, attempt, on_host
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import HostEvaluator

ANSWER_SECONDS = 10.0  # within which a cluster must answer
HERE = "auto"  # the cluster that runs on this machine


class Cluster:
    """The workers of a Ray cluster; address: empty for a new one of this machine. Errors: `UserError`."""

    def __init__(self, choice: str, address: str):
        ray = _connected(address)
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        self.size = gpus or int(resources.get("CPU", 0))
        if not self.size:
            raise UserError(f"The Ray cluster {_place(address)} has neither cores nor GPUs to evaluate on.")
        share = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        self.choice, self.running = choice, dict[Any, int]()
        self.evaluate = ray.remote(**share, max_retries=ATTEMPTS - 1)(_evaluated)
        self.ray = ray

    def submit(self, work: Work) -> None:
        self.running[self.evaluate.remote(self.choice, tuple(work), os.getcwd())] = work.trial

    def result(self) -> tuple[int, Outcome]:
        (ready, *_), _ = self.ray.wait(list(self.running), num_returns=1)
        trial = self.running.pop(ready)
        try:
            kind, answer = self.ray.get(ready)
        except self.ray.exceptions.RayTaskError:  # what the evaluation itself raised
            raise
        except self.ray.exceptions.RayError as error:
            return trial, Outcome({}, 0.0, f"Its worker died {ATTEMPTS} times: {type(error).__name__}.")
        if kind == "storage":
            raise StorageError(answer)
        return trial, Outcome(*answer)

    def drop(self) -> None:
        for reference in self.running:
            self.ray.cancel(reference, force=True)
        self.running.clear()

    def close(self) -> None:
        self.drop()
        self.ray.shutdown()


def check(address: str) -> None:
    """Errors: `UserError` where Ray is not installed, and where nobody answers."""
    if address and address != HERE:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise UserError(f"A Ray cluster is written ray:HOST:PORT, as in ray:10.0.0.1:6379, not 'ray:{address}'.")
        try:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        except OSError as error:
            raise _nobody(address, error.strerror or str(error)) from error
    if importlib.util.find_spec("ray") is None:
        raise UserError("Workers of a cluster need Ray, which is not installed: pip install dnas[cluster].")


def _connected(address: str) -> Any:
    """Ray, connected. Errors: `UserError` where there is no cluster."""
    import ray

    try:
        ray.init(address=address or "local", configure_logging=False, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise _nobody(address, str(error).partition("\n")[0] or type(error).__name__) from error
    return ray


def _nobody(address: str, reason: str) -> UserError:
    return UserError(
        f"There is no Ray cluster {_place(address)} ({reason}): start one by 'ray start --head', or check the address."
    )


def _place(address: str) -> str:
    return f"at {address}" if address and address != HERE else "on this machine"


def _evaluated(choice: str, work: tuple[Any, ...], folder: str) -> tuple[str, Any]:
    """One trial, in a worker; folder: what the paths of the choice are relative to."""
    os.chdir(folder)
    try:
        return "outcome", tuple(attempt(_evaluator(choice), Work(*work)))
    except StorageError as error:
        return "storage", str(error)


@cache
def _evaluator(choice: str) -> HostEvaluator:
    from dnas.runs import loop

    if not os.environ.get("CUDA_VISIBLE_DEVICES"):  # Ray has given it a core; JAX would take all of the machine
        os.environ.setdefault("PJRT_NPROC", "1")
    loop.prepare_process()
    return on_host(find.resolve("evaluator", choice))
