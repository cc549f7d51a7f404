"""Whatever happens to a file of a run folder: the run goes on and ends as if nothing had, or one sentence names the
file; and nothing is read as if it were whole."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.cli.sources import genotype_of
from dnas.config import Config
from dnas.errors import UserError
from dnas.files import atomic_write
from dnas.reports import page as report
from dnas.runs import checkpoints, copies, records

SPACE = Space(
    "toy", {"cell": Cell(1, 2, all_edges(1, 2), (("none", "skip"),) * 3)}, {}, lambda: None, Norm(0, 0), Norm(1, 0)
)
EPOCHS, CONFIG = 4, Config(seed=3)


def make(step: int = 0) -> dict[str, jax.Array]:
    return {"step": jnp.int32(step), "weights": jnp.arange(40.0) * step}


def genotype(operation: str) -> dict:
    return {"space": "toy", "cells": {"cell": {"edges": [[1, 0, operation]], "concat": [1]}}}


class Killed(Exception):
    pass


def search(folder: Path, *, resume: bool = False, kill_in: int = 0) -> None:
    """What a search does with its folder: epochs, and at the end a selection, pictures and the page."""
    with (records.resume if resume else records.create)(folder, CONFIG) as run:
        run.data({"name": "digits", "train images": 700})
        found = run.restore(jax.eval_shape(make)) if resume else None
        state = make() if found is None else found[0]
        for step in range(int(state["step"]) + 1, EPOCHS + 1):
            state = make(step)
            accuracy = 0.9 if step == 1 else 0.5 + step / 100  # the first is the best
            row = {"step": step, "epoch": step, "seed": 3, "train_loss": 1 / step, "valid_accuracy": accuracy}
            run.log(row)
            run.log_mix(step, {"cell": jnp.full((3, 2), step / 7)}, SPACE, step)
            run.genotype(step, [genotype("none")])
            run.text("genotype", f"epoch {step}", step)
            if step == kill_in:
                raise Killed
            run.checkpoint(step, state, {"step": step}, accuracy)
        run.genotype(EPOCHS, [genotype("skip")])
        run.log({"step": EPOCHS, "epoch": EPOCHS, "seed": 3, "selected_accuracy": 0.7})
        atomic_write(folder / "cells.png", picture("cells"))
        report.page(folder)


def results(folder: Path) -> dict[str, object]:
    """What a run leaves, but for times and what was put aside."""
    names = ["config.json", "data.json", "metrics.jsonl", "mix.jsonl", "genotype.json", "cells.png", "mix.png"]
    names += [f"genotypes/epoch_{epoch:04d}.json" for epoch in range(1, EPOCHS + 1)]
    files = {name: (folder / name).read_bytes() for name in names}
    assert len(list((folder / "genotypes").iterdir())) == EPOCHS
    states = {step: checkpoints.read_about(folder, step)["crc32"] for step in checkpoints.steps(folder)}
    return files | {"checkpoints": states}


def everything(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def picture(content: object) -> bytes:
    """A PNG that is as good as the numbers in it."""
    about, file = PngInfo(), io.BytesIO()
    about.add_text("content", json.dumps(content))
    Image.new("L", (1, 1)).save(file, "png", pnginfo=about)
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Pictures are drawn in no time, and no disk is waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(report, "plot_curves", lambda rows, path, **_: atomic_write(path, picture(rows)))
        patch.setattr(
            report, "plot_alphas", lambda mix, path, _: atomic_write(path, picture(mix["cell"].weights.tolist()))
        )
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, quick):
    """A folder that was finished, and one that was killed, with half a line at the end."""
    finished, killed = tmp_path_factory.mktemp("finished") / "run", tmp_path_factory.mktemp("killed") / "run"
    search(finished)
    with pytest.raises(Killed):
        search(killed, kill_in=EPOCHS)
    with open(killed / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "ep')
    report.page(killed)
    return {"finished": finished, "killed": killed}


def replace_by(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x81" + path.read_bytes())


def change_a_digit(path: Path) -> None:
    """In the middle: what is left is as well formed as before."""
    content = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
    place = places[len(places) // 3] if places else len(content) // 2
    content[place] = 49 + (content[place] - 48) % 8 if places else content[place] ^ 1
    path.write_bytes(content)


def no_row_in_the_middle(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:1], b"\x00oops", *lines[2:]]))


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("of the user's")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": replace_by(b""),
    "truncated": shorten,
    "garbage": replace_by(bytes(range(256)) * 3),
    "no UTF-8": not_text,
    "a list": replace_by(b"[1, 2]\n"),
    "a number": replace_by(b"3\n"),
    "null": replace_by(b"null\n"),
    "a digit": change_a_digit,
    "a word": lambda path: path.write_bytes(path.read_bytes().replace(b"skip", b"none")) and None,
    "a row": no_row_in_the_middle,
    "a folder": become_a_folder,
    "removed": lambda path: path.unlink(),
}


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def one_sentence(error: UserError, name: str) -> None:
    """It names the file, or what it belongs to."""
    text = str(error)
    assert "\n" not in text and text.endswith("."), text
    assert Path(name).name in text or name in text, f"{name}: {text}"


def ways(name: str) -> list[str]:
    return [way for way in DAMAGES if way != "a row" or name.endswith(".jsonl")]


def cases(runs: dict[str, Path], how: str, tmp_path: Path):
    for state, original in runs.items():
        for name in files_of(original):
            if how in ways(name) and not name.endswith(("epoch_0002.json", "epoch_0003.json")):  # as the first
                folder = tmp_path / f"{state} {name.replace('/', ' ')}" / "run"
                shutil.copytree(original, folder)
                DAMAGES[how](folder / name)
                yield state, name, folder


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_a_run_with_a_damaged_file_ends_as_if_it_were_whole_or_says_so(runs, how, tmp_path, capsys):
    expected = results(runs["finished"])
    for state, name, folder in cases(runs, how, tmp_path):
        before = everything(folder)
        capsys.readouterr()
        try:
            search(folder, resume=True)
        except UserError as error:
            one_sentence(error, name)
            if name.endswith((".png", ".html")):  # in the way of what is drawn at the end
                continue
            assert everything(folder) == before, f"{state}, {name}: nothing is changed before it is refused"
            assert name == ".lock", f"{state}, {name}: {error}"  # all else is put back
            continue
        found, said = results(folder), capsys.readouterr().err
        if name.endswith(".ckpt"):  # what it held can be missing now, if that was said
            lost = {step for step in expected["checkpoints"] if step not in found["checkpoints"]}
            assert all(f"{step}.ckpt" in said for step in lost) or how == "removed", (state, name, said)
            found["checkpoints"] |= {step: expected["checkpoints"][step] for step in lost}
        assert found == expected, (state, name)


def test_without_damage_nothing_is_said(runs, tmp_path, capsys):
    for state, original in runs.items():
        folder = tmp_path / state / "run"
        shutil.copytree(original, folder)
        read(folder)
        search(folder, resume=True)
        read(folder)
        assert results(folder) == results(runs["finished"])
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_no_damaged_file_is_read_as_if_it_were_whole(runs, how, tmp_path, capsys):
    whole = {}
    for state, original in runs.items():
        folder = tmp_path / state / "run"
        shutil.copytree(original, folder)
        whole[state] = read(folder)
    for state, name, folder in cases(runs, how, tmp_path):
        try:
            found = read(folder)
        except UserError as error:
            one_sentence(error, name)
            assert Path(name).suffix != ".ckpt" and "copies" not in name, "not needed to read a run"
            continue
        if name != "cells.png" or how != "removed":  # drawn at the end of a run
            assert found == whole[state], (state, name)


def read(folder: Path) -> tuple:
    page = report.page(folder).read_text()
    row = [list(column.cells) for column in report.table([folder]).columns]
    return page, row, genotype_of(str(folder))


@pytest.mark.parametrize("name", ["genotypes", "events", "checkpoints/copies", "checkpoints"])
@pytest.mark.parametrize("how", ["removed", "a file"])
def test_a_folder_that_is_gone(runs, name, how, tmp_path):
    for state, original in runs.items():
        folder = tmp_path / state / "run"
        shutil.copytree(original, folder)
        shutil.rmtree(folder / name)
        if how == "a file":
            (folder / name).write_text("something")
        if name == "checkpoints":
            before = everything(folder) | {"environment.json": b""}
            with pytest.raises(UserError, match="run/checkpoints"):
                search(folder, resume=True)
            assert everything(folder) | {"environment.json": b""} == before
            continue
        search(folder, resume=True)
        assert results(folder) == results(runs["finished"])


def test_rows_are_put_back_by_going_back_where_the_copy_is_damaged_too(runs, tmp_path, capsys):
    """Damage after the rows that an earlier checkpoint knows costs what came after that one; else nothing is lost."""
    folder = tmp_path / "run"
    shutil.copytree(runs["killed"], folder)
    assert checkpoints.steps(folder) == [1, 2, 3]
    for path in (folder / "metrics.jsonl", folder / copies.COPIES / "metrics.jsonl"):
        lines = path.read_bytes().split(b"\n")
        lines[2] = lines[2].replace(b"3", b"4")
        path.write_bytes(b"\n".join(lines))
    search(folder, resume=True)
    assert "metrics.jsonl" in capsys.readouterr().err
    assert results(folder) == results(runs["finished"])

    for path in (folder / "metrics.jsonl", folder / copies.COPIES / "metrics.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"0.9", b"0.8"))
    before = everything(folder)
    with pytest.raises(UserError, match=r"run/metrics.jsonl is damaged, and so is the copy"):
        search(folder, resume=True)
    assert everything(folder) == before, "nothing is cut, and nothing was trained"


def test_events_are_never_worth_a_run(runs, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(runs["killed"], folder)
    for path in [*(folder / "events").iterdir(), *(folder / copies.COPIES / "events").iterdir()]:
        path.write_bytes(b"")
    search(folder, resume=True)
    assert "TensorBoard" in capsys.readouterr().err
    assert results(folder) == results(runs["finished"])


def test_a_row_file_that_is_cut_while_the_run_writes_it_is_noticed(tmp_path):
    with records.create(tmp_path / "run", CONFIG) as run:
        for step in (1, 2):
            run.log({"step": step, "epoch": step})
            run.checkpoint(step, make(step), {})
        os.truncate(run.folder / "metrics.jsonl", 10)
        run.log({"step": 3, "epoch": 3})
        with pytest.raises(UserError, match="metrics.jsonl was changed or removed while the run wrote it"):
            run.checkpoint(3, make(3), {})
    with records.resume(tmp_path / "run") as run:
        assert int(run.restore(jax.eval_shape(make))[0]["step"]) == 2
    assert [row["step"] for row in records.read_metrics(tmp_path / "run")] == [1, 2]
