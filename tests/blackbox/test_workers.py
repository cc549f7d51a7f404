"""Workers die, machines die, the program that started them dies: no trial is lost, and none that ended runs again."""

import dataclasses
import json
import multiprocessing as mp
import socket
import threading
import time
from collections import Counter

import jax
import numpy as np
import pytest

from dnas.blackbox import cluster, host, journal, pools, workers
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.jobs import build
from dnas.blackbox.workers import Processes, Work, attempt, on_host
from dnas.errors import UserError

CONFIG = BlackboxConfig("evolution:population=4", "table", budget="12evaluations", runs=2)


class Disordered:
    """Three at a time, of which the newest ends first; killed after so many ends."""

    size = 3

    def __init__(self, evaluator, ends):
        self.evaluator, self.ends, self.running, self.done = evaluator, ends, list[Work](), list[Work]()

    def submit(self, work):
        self.running.append(work)
        assert len(self.running) <= self.size

    def result(self):
        if len(self.done) == self.ends:
            raise KeyboardInterrupt
        self.done.append(self.running.pop())
        return self.done[-1].trial, attempt(self.evaluator, self.done[-1])

    def drop(self):
        self.running.clear()


def test_a_search_with_several_workers_goes_on(tmp_path):
    job = build(CONFIG)
    evaluator, done = on_host(job.evaluator), []
    for ends in (0, 5, 10, 100):
        pool = Disordered(evaluator, ends)
        if ends < 100:
            with pytest.raises(KeyboardInterrupt):
                host.tried(job, pool, tmp_path)
        else:
            found = host.tried(job, pool, tmp_path)
        done += pool.done
    assert len(done) == 24 and found.counts.tolist() == [12, 12]
    rows = [json.loads(line) for line in (tmp_path / journal.FILE).read_text().splitlines()]
    ends = Counter((row["run"], row["trial"]) for row in rows if "values" in row)
    assert ends == Counter({(run, trial): 1 for run in range(2) for trial in range(12)})
    again = host.tried(job, Disordered(evaluator, 0), tmp_path)  # nothing is left to do
    np.testing.assert_array_equal(again.scores, found.scores)


def test_a_network_too_large_for_the_device_is_a_failure():
    def raising(text):
        def evaluate(architecture, fidelity, seed):
            raise jax.errors.JaxRuntimeError(text)

        return dataclasses.replace(on_host(build(CONFIG).evaluator), evaluate=evaluate)

    work = Work(0, np.zeros(6, np.int32), 1.0, 0)
    failed = attempt(raising("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."), work).failed
    assert failed == "It needs more memory than the device has."
    with pytest.raises(jax.errors.JaxRuntimeError):
        attempt(raising("INTERNAL: a defect"), work)


class Dying:
    """A process that dies of its trial so often, and answers then."""

    deaths = 0

    def __init__(self, target, *args):
        self.connection, theirs = mp.Pipe()
        if Dying.deaths:
            Dying.deaths -= 1
        else:
            theirs.send(("outcome", journal.Outcome({"accuracy": 1.0}, 2.0)))
        theirs.close()

    def end(self):
        self.connection.close()


@pytest.mark.parametrize("deaths, failed", [(2, ""), (3, "Its worker died 3 times, perhaps for want of memory.")])
def test_a_trial_whose_worker_dies_runs_again(deaths, failed, monkeypatch):
    monkeypatch.setattr(workers, "Process", Dying)
    Dying.deaths = deaths
    pool = Processes("table", 1)
    pool.submit(Work(7, np.zeros(6, np.int32), 1.0, 0))
    trial, outcome = pool.result()
    assert trial == 7 and outcome.failed == failed


@pytest.mark.slow
def test_processes_of_this_machine_one_killed(tmp_path):
    pool = pools.made(pools.parse("2"), build(CONFIG))
    assert isinstance(pool, Processes) and pool.size == 2
    victim = pool.workers[0].process
    threading.Timer(1.0, victim.kill).start()
    try:
        found = host.tried(build(CONFIG), pool, tmp_path)
    finally:
        pool.close()
    assert not victim.is_alive() and not any(worker.process.is_alive() for worker in pool.workers)
    assert found.counts.tolist() == [12, 12] and not found.failed


@pytest.mark.slow
def test_a_cluster_of_two_machines_one_killed(tmp_path):
    pytest.importorskip("ray", reason="no Ray on this machine: pip install dnas[cluster]")
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args=machine | {"include_dashboard": False})
    second = made.add_node(**machine)
    config = BlackboxConfig("random_search", "table", budget="60evaluations", runs=1)
    job, crew = build(config), pools.Crew(cluster=True, address=made.address)

    def kill_when_busy():
        while not (tmp_path / journal.FILE).exists():  # the first trials have begun, one on each machine
            time.sleep(0.01)
        made.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill_when_busy)
    try:
        killer.start()
        pool = pools.made(crew, job)
        assert pool.size == 2
        try:
            found = host.tried(job, pool, tmp_path)
        finally:
            pool.close()
    finally:
        killer.join()
        made.shutdown()
    assert not found.failed
    np.testing.assert_array_equal(np.sort(found.scores.ravel()), np.sort(blackbox.simulated(job).scores.ravel()))


def test_a_cluster_that_is_not_there(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=f"There is no Ray cluster at {address} .Connection refused.: start one by"):
        blackbox.run(CONFIG, workers=f"ray:{address}")
    with pytest.raises(UserError, match="A Ray cluster is written ray:HOST:PORT, .* not 'ray:home'"):
        blackbox.run(CONFIG, workers="ray:home")
    real = cluster.importlib.util.find_spec
    monkeypatch.setattr(
        cluster.importlib.util, "find_spec", lambda name, *of: None if name == "ray" else real(name, *of)
    )
    with pytest.raises(UserError, match="need Ray, which is not installed: pip install dnas.cluster..$"):
        blackbox.run(CONFIG, workers="ray")
