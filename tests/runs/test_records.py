"""The run folder: what is written can be read back, whatever happens in between."""

import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from dnas import files, paths
from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.config import Config, SearchConfig, load
from dnas.errors import StorageError, UserError
from dnas.runs import checkpoints, copies, records
from dnas.runs.checkpoints import steps

OPERATIONS = ("none", "skip_connect", "nor_conv_3x3")
CELL = Cell(1, 2, all_edges(1, 2), (OPERATIONS,) * 3)
SPACE = Space("toy", {"cell": CELL}, {}, lambda: None, Norm(False, False), Norm(True, False))


class State(NamedTuple):
    step: jax.Array
    key: jax.Array
    weights: dict
    optimiser: tuple


def make(step: int = 0) -> State:
    key = jax.random.fold_in(jax.random.key(7), step)
    weights = {"stem": jax.random.normal(key, (60, 40)), "scale": jnp.full((2,), step, jnp.bfloat16)}
    return State(jnp.int32(step), jax.random.split(key, 2), weights, (jnp.array(True), (), jnp.zeros((0, 3))))


TARGET = jax.eval_shape(make)


def raw(leaf: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def same(a: State, b: State) -> bool:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and raw(x).tobytes() == raw(y).tobytes() for x, y in pairs)


def epoch(run: records.Run, step: int, metric: float | None = None) -> None:
    """What a search does at the end of an epoch, in its order."""
    run.log({"step": step, "epoch": step, "train_loss": 1 / step, "valid_accuracy": metric})
    run.log_mix(step, {"cell": jnp.full((3, 3), 1 / 3)}, SPACE, step)
    run.genotype(step, [{"epoch": step}])
    run.checkpoint(step, make(step), {"epoch": step}, metric)


def file_of(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"{step}.ckpt"


def events(folder: Path) -> list[Event]:
    """All TensorBoard events of a run, file by file."""
    found = []
    for path in sorted((folder / "events").iterdir()):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_a_state_with_typed_keys_returns_bit_for_bit(folder):
    with records.create(folder, Config()) as run:
        run.checkpoint(3, make(3), {"step": 3, "best": np.float32(0.1)}, 0.1)
    with records.resume(folder, Config()) as run:
        state, extra = run.restore(TARGET)
    assert same(state, make(3))
    assert extra == {"step": 3, "best": 0.1}
    assert jax.random.uniform(state.key[0]) == jax.random.uniform(make(3).key[0])


def test_a_restored_state_may_be_donated(folder):
    with records.create(folder, Config()) as run:
        run.checkpoint(1, make(1), {}, None)
        first, _ = run.restore(TARGET)
        step = jax.jit(lambda s: s._replace(weights=jax.tree.map(lambda w: w + 1, s.weights)), donate_argnums=0)
        step(step(first))
        assert same(run.restore(TARGET)[0], make(1))


def test_the_last_two_and_the_best_are_kept_also_after_resuming(folder):
    with records.create(folder, Config()) as run:
        for step, metric in enumerate([0.2, 0.9, 0.1, None], 1):
            run.checkpoint(step, make(step), {"epoch": step}, metric)
    assert steps(folder) == [2, 3, 4]
    with records.resume(folder) as run:
        run.restore(TARGET)
        run.checkpoint(5, make(5), {}, float("nan"))
        assert steps(folder) == [2, 4, 5]
        state, extra = run.best(TARGET)
        assert same(state, make(2)) and extra == {"epoch": 2}
        run.checkpoint(6, make(6), {}, 0.95)
    assert steps(folder) == [5, 6]


def test_a_step_that_is_saved_is_left_alone(folder):
    with records.create(folder, Config()) as run:
        run.checkpoint(1, make(1), {"first": True}, None)
        run.checkpoint(1, make(2), {"first": False}, None)
        assert run.restore(TARGET)[1] == {"first": True}


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "a flipped bit":
        content[len(content) // 2] ^= 8
        file.write_bytes(content)
    else:
        file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("how", ["truncated", "a flipped bit", "a folder"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(folder, capsys, how):
    with records.create(folder, Config()) as run:
        for step in (1, 2, 3):
            epoch(run, step)
    damage(file_of(folder, 3), how)
    with records.resume(folder) as run:
        state, extra = run.restore(TARGET)
        assert same(state, make(2)) and extra == {"epoch": 2}
        warning = capsys.readouterr().err
        assert "step 3" in warning and "step 2" in warning and "Traceback" not in warning
        assert [row["step"] for row in records.read_metrics(folder)] == [1, 2]
        epoch(run, 3)
        assert same(run.restore(TARGET)[0], make(3))
    assert [path.name for path in (folder / "damaged").iterdir()] == ["3.ckpt_0"]


def test_no_flipped_bit_of_a_checkpoint_goes_unseen(folder):
    with records.create(folder, Config()) as run:
        run.checkpoint(1, {"a": jnp.arange(3)}, {"epoch": 1})
    content = file_of(folder, 1).read_bytes()
    target = {"a": jax.ShapeDtypeStruct((3,), jnp.int32)}

    def read() -> str:
        return str(checkpoints.read_state(folder, 1, checkpoints.read_about(folder, 1), target))

    assert "1, 2" in read()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        file_of(folder, 1).write_bytes(flipped)
        with pytest.raises(checkpoints.Damaged):
            read()
    for size in range(0, len(content), 7):
        file_of(folder, 1).write_bytes(content[:size])
        with pytest.raises(checkpoints.Damaged):
            read()


def test_checkpoints_of_another_version_are_refused_by_its_name(folder, monkeypatch):
    with monkeypatch.context() as patched, records.create(folder, Config()) as run:
        patched.setattr(checkpoints, "FORMAT", 9)
        epoch(run, 1)
    with pytest.raises(UserError, match="1.ckpt is of another version of dnas .format 9"):
        records.resume(folder)
    (folder / "checkpoints" / "2").mkdir()
    (folder / "checkpoints" / "2" / "_CHECKPOINT_METADATA").write_text("{}")
    with pytest.raises(UserError, match="of a dnas before 0.1.0"):
        records.resume(folder)


def test_all_checkpoints_damaged_is_an_error_and_loses_no_rows(folder):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
    damage(file_of(folder, 1), "truncated")
    with records.resume(folder) as run, pytest.raises(UserError, match="No checkpoint in .* can be read"):
        run.restore(TARGET)
    assert len(records.read_metrics(folder)) == 1


def test_checkpoints_that_are_gone_are_an_error_and_lose_no_rows(folder):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
        epoch(run, 2)
    shutil.rmtree(folder / "checkpoints")
    with records.resume(folder) as run, pytest.raises(UserError, match="holds no checkpoint, but .* epoch 2"):
        run.restore(TARGET)
    assert len(records.read_metrics(folder)) == 2


@pytest.mark.parametrize(
    "change, says",
    [
        (
            lambda s: s._replace(weights={**s.weights, "stem": jnp.zeros((60, 50))}),
            r"stem.*float32\[60, 40\].*\[60, 50\]",
        ),
        (lambda s: s._replace(step=jnp.float32(0)), r"step.*int32\[\] there and float32\[\] here"),
        (lambda s: s._replace(weights={**s.weights, "head": jnp.zeros(2)}), r"head.*absent there"),
        (lambda s: s._replace(weights={"stem": s.weights["stem"]}), r"scale.*absent here"),
        (lambda s: s._replace(key=jax.random.key(0)), r"key.*key<fry>\[2\] there and key<fry>\[\] here"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_by_name(folder, change, says):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
        with pytest.raises(UserError, match=says):
            run.restore(jax.eval_shape(lambda: change(make())))


def test_what_came_after_the_checkpoint_is_cut(folder):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
        epoch(run, 2)
    before = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "mix.jsonl", "genotype.json")}
    with records.resume(folder) as run:
        run.log({"step": 3, "epoch": 3, "train_loss": 0.5})
        run.log_mix(3, {"cell": np.ones((3, 3))}, SPACE, 3)
        run.genotype(3, [{"epoch": 3}])
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "epo')  # a kill in the middle of a line
    assert [row["step"] for row in records.read_metrics(folder)] == [1, 2, 3]
    with records.resume(folder) as run:
        assert run.restore(TARGET)[1] == {"epoch": 2}
        assert {name: (folder / name).read_bytes() for name in before} == before
        assert sorted(p.name for p in (folder / "genotypes").iterdir()) == [
            "epoch_0001.json",
            "epoch_0002.json",
        ]
        run.log({"step": 3, "epoch": 3, "train_loss": 0.25})
    restarts = [event.step for event in events(folder) if event.HasField("session_log")]
    assert restarts == [3], "TensorBoard is told to forget step 3 and later"
    assert scalars(folder)["loss/train"] == [(1, 1), (2, 0.5), (3, 0.5), (3, 0.25)]


def test_without_a_checkpoint_a_run_starts_from_nothing(folder):
    with records.create(folder, Config()) as run:
        run.log({"step": 1, "train_loss": 1.0})
        run.genotype(1, [{}])
    with records.resume(folder) as run:
        assert run.restore(TARGET) is None
        assert run.best(TARGET) is None
    assert records.read_metrics(folder) == []
    with pytest.raises(UserError, match="has not reached its first genotype"):
        records.read_genotypes(folder)


def test_logging_continues_after_a_half_written_line(folder):
    with records.create(folder, Config()) as run:
        run.log({"step": 1})
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"st')
    with records.resume(folder) as run:
        run.log({"step": 2})
    assert [row["step"] for row in records.read_metrics(folder)] == [1, 2]


def test_a_broken_line_in_the_middle_is_named(folder):
    folder.mkdir()
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{oops\n{"step": 3}\n')
    with pytest.raises(UserError, match="Line 2 of .*metrics.jsonl"):
        records.read_metrics(folder)


def test_a_folder_that_holds_something_is_refused(folder):
    records.create(folder, Config()).close()
    with pytest.raises(UserError, match="already exists and is not empty.*--resume.*--out"):
        records.create(folder, Config())
    file = folder / "config.json"
    with pytest.raises(UserError, match="already exists"):
        records.create(file, Config())


def test_one_process_at_a_time_goes_on_with_a_run(folder):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
        run.log({"step": 2})
        with open(folder / "metrics.jsonl", "a") as file:
            file.write('{"step": 3, "half a l')
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(
            StorageError, match=f"Another process .number {os.getpid()}. is running .* in {folder}: wait"
        ):
            records.resume(folder)
        with pytest.raises(UserError, match="already exists and is not empty"):
            records.create(folder, Config())
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        assert [row["step"] for row in records.read_metrics(folder)] == [1, 2], "reading needs no lock"
    with records.resume(folder) as run:
        assert run.restore(TARGET)[1] == {"epoch": 1}


def test_a_run_that_could_not_be_opened_is_open_to_others(folder):
    records.create(folder, Config()).close()
    with pytest.raises(UserError, match="seed: 0 -> 1"):
        records.resume(folder, Config(seed=1))
    records.resume(folder).close()


def test_a_killed_process_holds_no_run(folder):
    with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        with pytest.raises(StorageError, match=f"Another process .number {child.pid}. is running"):
            records.resume(folder)
        child.kill()
    records.resume(folder).close()


def test_two_processes_that_create_a_run_at_once(folder):
    folder.mkdir()
    with paths.locked(folder, "a search"), pytest.raises(StorageError, match="Another process"):
        records.create(folder, Config())
    records.create(folder, Config()).close()


def test_searches_that_begin_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records.time, "strftime", lambda form: "20260131-120000")
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: records.default_folder("darts:order=first", "npz:path=/a/b"), range(8)))
    assert len(set(names)) == 8 and all(name.is_dir() for name in names)
    shortest = min(names, key=lambda name: len(str(name)))
    assert shortest == Path("runs/darts-order=first-npz-path=-a-b-20260131-120000")
    records.create(names[0], Config()).close()
    assert records.default_folder("x" * 300, "y" * 300).is_dir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("runs").write_text("")
    with pytest.raises(StorageError, match="Cannot write to runs"):
        records.default_folder("darts")


def test_an_empty_folder_is_accepted(folder):
    folder.mkdir()
    records.create(folder, Config()).close()
    assert load(folder) == Config()


def test_resuming_no_run_or_with_another_config_is_refused(folder):
    with pytest.raises(UserError, match="holds no run"):
        records.resume(folder)
    config = Config(seed=3, search=SearchConfig(epochs=2))
    records.create(folder, config).close()
    other = Config(seed=4, search=SearchConfig(epochs=5))
    with pytest.raises(UserError, match=r"seed: 3 -> 4; search.epochs: 2 -> 5"):
        records.resume(folder, other)
    assert records.resume(folder, config).config == config
    assert records.resume(folder).config == config


def test_the_environment_says_how_to_repeat_the_run(folder):
    records.create(folder, Config(), command="dnas search --seed 1").close()
    records.resume(folder, command="dnas search --resume").close()
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["command"] == "dnas search --seed 1"
    assert environment["versions"]["jax"] == jax.__version__
    assert set(environment["versions"]) >= {"dnas", "jaxlib", "flax", "optax", "numpy"}
    assert environment["backend"] == jax.default_backend() and environment["devices"]
    assert [again["command"] for again in environment["resumed"]] == ["dnas search --resume"]


def test_rows_are_plain_json_and_tensorboard_gets_the_scalars(folder):
    with records.create(folder, Config(seeds=2)) as run:
        run.log(
            {
                "step": jnp.int32(5),
                "epoch": 1,
                "seed": np.int64(1),
                "train_loss": jnp.float32(0.1),
                "valid_accuracy": np.float64(0.5),
                "learning_rate": float("nan"),
                "counts": np.arange(3),
                "done": np.bool_(True),
            }
        )
        run.text("genotype", "**normal**", 5)
    assert (folder / "metrics.jsonl").read_text() == (
        '{"step": 5, "epoch": 1, "seed": 1, "train_loss": 0.1, "valid_accuracy": 0.5, "learning_rate": null, '
        '"counts": [0, 1, 2], "done": true}\n'
    )
    found = scalars(folder)
    assert found["accuracy/valid/seed_1"] == [(5, 0.5)]
    assert found["loss/train/seed_1"] == [(5, pytest.approx(0.1))]
    assert set(found) == {"accuracy/valid/seed_1", "loss/train/seed_1", "genotype/text_summary"}


def test_the_mix_is_recorded_by_edge_and_operation(folder):
    mix = np.arange(18, dtype=np.float32).reshape(2, 3, 3) / 10
    with records.create(folder, Config(seed=4, seeds=2)) as run:
        run.log_mix(7, {"cell": jnp.asarray(mix)}, SPACE, epoch=1)
    rows = records.read_mix(folder)
    assert [(row["step"], row["epoch"], row["seed"]) for row in rows] == [(7, 1, 4), (7, 1, 5)]
    assert rows[1]["mix"]["cell"]["2<-1"] == {"none": 1.5, "skip_connect": 1.6, "nor_conv_3x3": 1.7}
    assert scalars(folder)["mix/cell/2<-1/skip_connect/seed_5"] == [(7, pytest.approx(1.6))]


def test_tensorboard_is_told_only_once_to_forget(folder):
    with records.create(folder, Config()) as run:
        run.log({"step": 1, "train_loss": 1.0})
        run.restore(TARGET)
        run.log({"step": 1, "train_loss": 2.0})
        run.close()
        run.log({"step": 2, "train_loss": 3.0})
    order = [
        f"forget from {event.step}" if event.HasField("session_log") else event.summary.value[0].simple_value
        for event in events(folder)
        if event.HasField("session_log") or event.summary.value
    ]
    assert order == [1.0, "forget from 0", 2.0, 3.0]


def test_a_damaged_best_checkpoint_is_an_error(folder):
    with records.create(folder, Config()) as run:
        for step, metric in enumerate([0.9, 0.1, 0.1], 1):
            run.checkpoint(step, make(step), {}, metric)
    damage(file_of(folder, 1), "truncated")
    with records.resume(folder) as run:
        with pytest.raises(UserError, match="best checkpoint .* of step 1, is damaged"):
            run.best(TARGET)
        assert same(run.restore(TARGET)[0], make(3))


def test_genotypes_one_object_for_one_seed_a_list_for_several(folder):
    with records.create(folder, Config()) as run:
        run.genotype(3, [{"a": 1}])
        assert json.loads((folder / "genotype.json").read_text()) == {"a": 1}
        run.genotype(12, [{"a": 1}, {"a": 2}])
    assert records.read_genotypes(folder) == [{"a": 1}, {"a": 2}]
    assert records.read_genotypes(folder, epoch=3) == [{"a": 1}]
    assert sorted(p.name for p in (folder / "genotypes").iterdir()) == ["epoch_0003.json", "epoch_0012.json"]


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_atomic_write_keeps_the_old_content_when_the_disk_is_full(tmp_path, monkeypatch):
    records.atomic_write(tmp_path / "file", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk that holds .* is full.*free some space.*--resume"):
        records.atomic_write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"], "no temporary file takes up space"


class Full:
    """A file that takes some bytes and then is full."""

    def __init__(self, file, room=5):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        if not self.room:
            full()
        taken = data[: self.room]
        self.room -= len(taken)
        return self.file.write(taken)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_while_checkpointing_keeps_the_earlier_checkpoints(folder, monkeypatch):
    with records.create(folder, Config()) as run:
        epoch(run, 1, 0.5)
        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, "open", lambda *a, **k: Full(Path.open(*a, **k)), raising=False)
            with pytest.raises(UserError, match="is full"):
                epoch(run, 2, 0.6)
        assert steps(folder) == [1]
        assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["1.ckpt", "copies"]
        state, extra = run.restore(TARGET)
        assert same(state, make(1)) and extra == {"epoch": 1}
        epoch(run, 2, 0.6)
    assert [row["step"] for row in records.read_metrics(folder)] == [1, 2]


def test_a_full_disk_while_logging_leaves_whole_lines(folder, monkeypatch):
    with records.create(folder, Config()) as run:
        run.log({"step": 1})
        with monkeypatch.context() as patched:
            patched.setattr(files, "open", lambda *a, **k: Full(Path.open(*a, **k)), raising=False)
            with pytest.raises(UserError, match="is full"):
                run.log({"step": 2})
        run.log({"step": 3})
    assert (folder / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 3}\n'


CHILD = """
import sys
import jax, jax.numpy as jnp
from dnas.runs import checkpoints, copies, records
from dnas import files, paths
from dnas.runs.checkpoints import steps
from dnas.config import Config
make = lambda: {"n": jnp.int32(0), "key": jax.random.key(0), "w": jnp.zeros((40, 1000))}
folder = records.Path(sys.argv[1])
run = records.resume(folder) if folder.exists() else records.create(folder, Config())
found = run.restore(jax.eval_shape(make))
state = found[0] if found else make()
while True:
    n = int(state["n"]) + 1
    state = {"n": jnp.int32(n), "key": jax.random.fold_in(state["key"], n), "w": state["w"] + 1}
    run.log({"step": n, "value": jax.random.uniform(state["key"])})
    run.genotype(n, [{"n": n}])
    run.checkpoint(n, state, {"n": n}, None)
    print(n, flush=True)
"""


def test_a_run_killed_again_and_again_continues_where_it_was(folder):
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
            reached = [int(child.stdout.readline()) for _ in range(4)]
            child.send_signal(signal.SIGKILL)
        assert reached[-1] - reached[0] == 3
        assert len(records.read_metrics(folder)) >= reached[-1], "no finished step is lost"
    rows = records.read_metrics(folder)
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    key = jax.random.key(0)
    for row in rows:
        key = jax.random.fold_in(key, row["step"])
        assert row["value"] == float(str(np.asarray(jax.random.uniform(key))))


RESTLESS = """
import sys
import jax, jax.numpy as jnp
from dnas.runs import records
from dnas.config import Config
make = lambda n: {"n": jnp.int32(n)}
with records.create(records.Path(sys.argv[1]), Config()) as run:
    run.maximum_rollback, n = 3, 0
    for turn in range(1, 100000):
        n += 1
        run.log({"step": n, "epoch": n, "turn": turn})
        run.genotype(n, [{"turn": turn}])
        run.checkpoint(n, make(n), {})
        if turn % 5 == 0:
            run.rewind(n - 2, jax.eval_shape(lambda: make(0)))
            n -= 2
            run.checkpoint(n, make(n), {"again": True})
        print(n, flush=True)
"""


def test_a_run_can_be_read_while_it_runs_and_goes_back(folder):
    with subprocess.Popen([sys.executable, "-c", RESTLESS, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        try:
            child.stdout.readline()
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                steps = [row["step"] for row in records.read_metrics(folder)]
                assert steps == sorted(set(steps)), "what it went back on is gone"
                assert records.read_genotypes(folder)[0]["turn"] > 0
                assert records.config_of(folder) == Config() and records.read_description(folder, "environment.json")
            assert child.poll() is None and len(steps) > 5
        finally:
            child.kill()


def test_a_run_that_goes_back_between_two_looks_is_looked_at_again(folder, monkeypatch):
    with records.create(folder, Config()) as run:
        for step in (1, 2, 3):
            epoch(run, step)
        looks, newest = iter([copies.newest(folder)]), copies.newest
        run.rewind(2, TARGET)
    monkeypatch.setattr(copies, "newest", lambda folder: next(looks, None) or newest(folder))
    assert [row["step"] for row in records.read_metrics(folder)] == [1, 2]


def test_the_last_genotypes_may_be_others_than_the_checkpoint_knows(folder):
    with records.create(folder, Config()) as run:
        epoch(run, 1)
        epoch(run, 2)
        run.genotype(2, [{"selected": True}])
    assert records.read_genotypes(folder) == records.read_genotypes(folder, 2) == [{"selected": True}]
    (folder / "genotypes" / "epoch_0001.json").write_text("{}")
    with pytest.raises(UserError, match="epoch_0001.json is damaged"):
        records.read_genotypes(folder, 1)


def test_other_data_are_refused_in_a_sentence_however_long_they_are(tmp_path):
    with records.create(tmp_path / "run", Config(), "dnas search") as run:
        run.data({"vocabulary": ["a"] * 1000})
        run.data({"vocabulary": ["a"] * 1000})
        with pytest.raises(StorageError, match="begun with other data .vocabulary: .'a', .* -> .'b', ") as error:
            run.data({"vocabulary": ["b"] * 1000})
    assert len(str(error.value)) < 400 + len(str(tmp_path))
