"""Full and read-only disks: one sentence, nothing lost, nothing printed by what runs beside."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from dnas import cli, compare
from dnas.architectures import zoo
from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.config import Config
from dnas.errors import StorageError, UserError
from dnas.reports import diagram, plots
from dnas.reports import page as report
from dnas.runs import checkpoints, records

SPACE = Space(
    "toy", {"cell": Cell(1, 2, all_edges(1, 2), (("none", "skip"),) * 3)}, {}, lambda: None, Norm(0, 0), Norm(1, 0)
)
EPOCHS, NOISE = 4, ("Traceback", "Exception ignored", "cannot schedule", "never retrieved")


def mounted(place: Path, options: str) -> None:
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("only root can mount a small disk")


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of its own; called with a size or an option it is mounted or changed."""
    place, is_mounted = tmp_path / "disk", []
    place.mkdir()

    def change(options: str) -> Path:
        mounted(place, f"remount,{options}" if is_mounted else options)
        is_mounted.append(options)
        return place

    yield change
    if is_mounted:
        subprocess.run(["umount", str(place)], check=True)


def make(step: int = 0) -> dict[str, jax.Array]:
    return {"step": jnp.int32(step), "weights": jax.random.normal(jax.random.key(step), (40, 1000))}  # 160 kB


def search(folder: Path, resume: bool = False) -> None:
    with (records.resume if resume else records.create)(folder, Config()) as run:
        found = run.restore(jax.eval_shape(make)) if resume else None
        for step in range(int(found[0]["step"]) + 1 if found else 1, EPOCHS + 1):
            run.log({"step": step, "epoch": step, "seed": 0, "train_loss": 1 / step})
            run.log_mix(step, {"cell": jnp.full((3, 2), step / 7)}, SPACE, step)
            run.genotype(step, [{"epoch": step}])
            run.text("genotype", "text" * 500, step)
            run.checkpoint(step, make(step), {}, step / 10)


def left(folder: Path) -> tuple:
    steps = checkpoints.steps(folder)
    states = [checkpoints.read_about(folder, step)["crc32"] for step in steps]
    return steps, states, records.read_metrics(folder), records.read_mix(folder), records.read_genotypes(folder)


def test_wherever_a_disk_becomes_full_the_run_goes_on_when_there_is_space(disk, tmp_path, capfd):
    search(tmp_path / "whole")
    refusals = 0
    for size in itertools.count(12, 28):
        place = disk(f"size={size}k")
        try:
            search(place / "run")
        except StorageError as error:
            refusals += 1
            assert "is full" in str(error) or "No space left" in str(error), error
        else:
            break
        finally:
            disk("size=8m")
        search(place / "run", resume=(place / "run" / "config.json").exists())
        assert left(place / "run") == left(tmp_path / "whole"), f"{size} kB"
        shutil.rmtree(place / "run")
    assert refusals > 15, "the disk was full at many moments"
    said = "".join(capfd.readouterr())
    assert not any(noise in said for noise in NOISE), said


CHILD = """
import sys
sys.path[:0] = [sys.argv[1]]
import test_full_disk as test
from dnas.errors import UserError
try:
    test.search(test.Path(sys.argv[2]))
except UserError as error:
    sys.exit(f"dnas: {error}")
"""


def test_a_process_ends_quietly_on_a_full_disk(disk):
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(disk("size=450k") / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("dnas: The disk that holds ") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_pictures_and_pages(disk, tmp_path, capsys):
    place = disk("size=24k")
    genotype = zoo.entry("DARTS_V2").genotype
    (place / "cells.png").write_text("as it was")
    with pytest.raises(StorageError, match="is full"):
        diagram.draw(genotype, place / "cells.png")
    assert (place / "cells.png").read_text() == "as it was" and len(list(place.iterdir())) == 1
    assert cli.main(["show", "DARTS_V2", "--png", str(place / "cells.png")]) == 2
    disk("size=8m")
    search(place / "run")
    disk("ro")
    compared = tmp_path / "compared.py"
    compared.write_text(
        "from dnas.config import Config, SearchConfig\n"
        "def configs():\n"
        "    size = SearchConfig(epochs=1, cells=1, channels=2)\n"
        '    return {"darts": Config("nasbench201", data="digits", search=size)}\n'
    )
    for command in (
        ["show", "DARTS_V2", "--png", str(place / "new.png")],
        ["report", str(place / "run")],
        ["compare", str(compared), "--lookup", "--out", str(place / "compared")],
        ["search", "--out", str(place / "run"), "--resume"],
    ):
        capsys.readouterr()
        assert cli.main(command) == 2, command
        said = capsys.readouterr().err.splitlines()
        assert said[-1].startswith("dnas: ") and "Read-only file system" in said[-1], said
    assert cli.main(["report", str(place / "run")]) == 2
    assert "method" in capsys.readouterr().out, "the table needs no disk"
    with pytest.raises(StorageError, match="Read-only"):
        records.create(place / "new", Config())
    assert records.read_metrics(place / "run") and report.table([place / "run"]).row_count == 1, "it can be read"


@pytest.mark.parametrize("way", ["no folder", "a folder there", "a file for a folder"])
def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path, way):
    (tmp_path / "is.png").mkdir()
    (tmp_path / "file").write_text("")
    path = {"no folder": "no/x.png", "a folder there": "is.png", "a file for a folder": "file/x.png"}[way]
    with pytest.raises(StorageError, match="Cannot write to .*png"):
        diagram.draw(zoo.entry("DARTS_V2").genotype, tmp_path / path)
    with pytest.raises(StorageError, match="Cannot write to"):
        plots.plot_ranking(1.0, [2.0, 3.0], tmp_path / path)


def test_a_comparison_in_a_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises((StorageError, UserError), match="file"):
            compare.run({"one": Config()}, tmp_path / place)
