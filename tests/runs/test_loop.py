"""The host loop: wherever a run is stopped or killed, in the end its folder is that of one that was not."""

import os
import random
import signal
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.config import Config
from dnas.errors import StorageError
from dnas.runs import checkpoints, loop, records

EPOCHS, STEPS = 6, 3
ACCURACIES = (0.1, 0.7, 0.3, 0.7, 0.2, 0.4)


class State(NamedTuple):
    step: jax.Array
    total: jax.Array


def begin() -> loop.Progress:
    return loop.start(State(jnp.zeros(1, jnp.int32), jnp.zeros(1)), jnp.zeros(1))


class Killed(BaseException):
    pass


def run(folder: Path, every: int, resume: bool = False, stop_in: int | None = None, back: bool = False) -> None:
    """stop_in: the step in which the run is told to stop. back: whether it goes back from epoch 5 to 3, once."""
    config = Config(checkpoint_epochs=every)
    with (records.resume if resume else records.create)(folder, config) as record:
        record.maximum_rollback = 3 if back else 0
        target = jax.eval_shape(begin)
        found = record.restore(target) if resume else None

        def advance(progress: loop.Progress, count: np.int32) -> loop.Progress:
            step = int(progress.state.step[0])
            if stop_in is not None and step < stop_in <= step + count:
                os.kill(os.getpid(), signal.SIGTERM)
            more = sum(range(step, step + count))
            state = State(progress.state.step + count, progress.state.total + more)
            return progress._replace(state=state, sums=progress.sums + more)

        def finish(epoch: int, progress: loop.Progress) -> loop.Epoch:
            total = float(progress.state.total[0])
            record.log({"step": epoch * STEPS, "epoch": epoch, "seed": 0, "total": total, "sums": progress.sums[0]})
            record.genotype(epoch, [{"total": total}])
            if back and epoch == 5 and total < 1000:
                earlier, _ = record.rewind(3 * STEPS, target)
                state = earlier.state._replace(total=earlier.state.total + 1000)
                return loop.Epoch(None, earlier._replace(state=state))
            return loop.Epoch(ACCURACIES[epoch - 1])

        progress = begin() if found is None else found[0]
        loop.drive(record, progress, advance, finish, epochs=EPOCHS, steps_per_epoch=STEPS, title="toy", quiet=True)


def left(folder: Path) -> dict[str, object]:
    states = {step: checkpoints.read_about(folder, step)["crc32"] for step in checkpoints.steps(folder)}
    genotypes = {path.name: path.read_text() for path in (folder / "genotypes").iterdir()}
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.parent.name != "events"}
    rows = records.read_metrics(folder)
    return {"states": states, "rows": rows, "genotypes": genotypes, "names": names - {".lock"}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 0)  # one step at a time


def killing(monkeypatch, after: int) -> None:
    """The process ends at the n-th moment that matters: before or after a checkpoint is written, a file is renamed or
    deleted."""
    left = iter(range(after))

    def deadly(function):
        def call(*args, **kwargs):
            if next(left, None) is None:
                raise Killed
            value = function(*args, **kwargs)
            if next(left, None) is None:
                raise Killed
            return value

        return call

    monkeypatch.setattr(checkpoints, "write", deadly(checkpoints.write))
    monkeypatch.setattr(os, "replace", deadly(os.replace))
    monkeypatch.setattr(Path, "unlink", deadly(Path.unlink))


@pytest.mark.parametrize("every", [1, 2, 4])
def test_wherever_a_run_is_told_to_stop_the_same_is_left(tmp_path, every):
    run(tmp_path / "whole", every)
    whole = left(tmp_path / "whole")
    assert len(whole["states"]) <= 3
    for stop_in in range(1, EPOCHS * STEPS + 1):
        folder = tmp_path / str(stop_in)
        with pytest.raises(loop.Interrupted):
            run(folder, every, stop_in=stop_in)
        reached = checkpoints.steps(folder)[-1]
        assert reached >= stop_in, "nothing is lost"
        if reached < EPOCHS * STEPS:  # again, in the next step
            with pytest.raises(loop.Interrupted):
                run(folder, every, resume=True, stop_in=reached + 1)
        run(folder, every, resume=True)
        assert left(folder) == whole, stop_in


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_wherever_a_run_is_killed_the_same_is_left(tmp_path, monkeypatch, back):
    run(tmp_path / "whole", 1, back=back)
    whole = left(tmp_path / "whole")
    for moment in range(4, 1000):
        folder = tmp_path / str(moment)
        try:
            with monkeypatch.context() as patch:
                killing(patch, moment)
                run(folder, 1, back=back)
        except Killed:
            run(folder, 1, resume=(folder / "config.json").exists(), back=back)
            assert left(folder) == whole, moment
        else:
            assert moment > 60 and left(folder) == whole
            break


def test_a_trace_that_cannot_be_written_is_one_sentence_before_any_step(tmp_path):
    (tmp_path / "file").write_text("")

    def never(*_):
        pytest.fail("no step is taken")

    for number, place in enumerate(("file", "file/below")):
        says = pytest.raises(StorageError, match="Cannot write to .*file")
        plan = {"epochs": 1, "steps_per_epoch": 2, "title": "toy", "quiet": True, "profile": tmp_path / place}
        with says, records.create(tmp_path / str(number), Config()) as record:
            loop.drive(record, begin(), never, never, **plan)


def test_whatever_happens_to_a_run_the_same_is_left(tmp_path, monkeypatch):
    run(tmp_path / "whole", 2)
    whole = left(tmp_path / "whole")
    for seed in range(10):
        chance, folder = random.Random(seed), tmp_path / str(seed)
        for _ in range(100):
            resume = (folder / "config.json").exists()
            stop_in = chance.choice([None, chance.randrange(1, EPOCHS * STEPS)])
            try:
                with monkeypatch.context() as patch:
                    killing(patch, chance.randrange(2, 60))
                    run(folder, 2, resume=resume, stop_in=stop_in)
            except (Killed, loop.Interrupted):
                continue
            break
        assert left(folder) == whole, seed
