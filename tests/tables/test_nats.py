"""Records of NATS-Bench: what they say is what the table of the package has; and none of them can do harm."""

import bz2
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from dnas.architectures import zoo
from dnas.architectures.genotype import parse, to_text
from dnas.errors import UserError
from dnas.tables import nasbench201, nats

RECORDS = sorted((Path(os.environ.get("DNAS_SHARED", "../shared")) / "data" / "nasbench201").glob("nats_full_*.pbz2"))
needs_records = pytest.mark.skipif(not RECORDS, reason="needs nats_full_record_*.pickle.pbz2 of DNAS_SHARED")
OURS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16"}


@needs_records
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name[17:23])
def test_a_record_says_what_the_table_says(path):
    record, table = nats.read(path), nasbench201.table()
    assert zoo.nasbench201(record.number) == record.genotype and f"{record.number:06d}" in path.name
    place = nasbench201.place_of(record.genotype)
    for data, ours in OURS.items():
        long, short = record.trainings(data, 200), record.trainings(data, 12)
        assert [training.seed for training in long] == [777, 888, 999] and len(short) >= 1
        assert np.mean([t.accuracy["test"][-1] for t in long]) == pytest.approx(
            table.column(ours, "test_200")[place], abs=1e-3
        )
        assert long[0].parameters == table.column(ours, "parameters")[place]
        assert long[0].mflops == pytest.approx(table.column(ours, "mflops")[place], abs=1e-4)
        halved = "cifar10-valid" if data == "cifar10" else data
        assert {t.seed: t.accuracy["test"][-1] for t in record.trainings(halved, 200)}[888] == pytest.approx(
            table.column(ours, "single_200")[place], abs=1e-4
        )  # what is called validation accuracy elsewhere
        validated = record.trainings(halved, 12)
        assert np.mean([t.accuracy["valid"][-1] for t in validated]) == pytest.approx(
            table.column(ours, "valid_12")[place], abs=1e-3
        )
        assert validated[0].seconds["train"].sum() + validated[0].seconds["valid"][-1] == pytest.approx(
            table.column(ours, "seconds_12")[place], rel=0.05
        )  # a model of few terms


@needs_records
def test_a_record_has_every_epoch_and_what_was_not_measured():
    record = nats.read(RECORDS[0])
    half, whole = record.trainings("cifar10-valid", 200)[0], record.trainings("cifar100", 200)[0]
    assert np.isfinite(half.accuracy["train"]).all() and np.isfinite(half.accuracy["valid"]).all()
    assert np.isnan(half.accuracy["test"][:-1]).all() and np.isfinite(half.accuracy["test"][-1])
    assert list(whole.accuracy) == ["train", "valid", "test", "valid+test"] and len(whole.accuracy["train"]) == 200
    both = (whole.accuracy["valid"][-1] + whole.accuracy["test"][-1]) / 2
    assert whole.accuracy["valid+test"][-1] == pytest.approx(both, abs=1e-3)
    assert record.trainings("cifar10", 200)[0].accuracy.keys() == {"train", "test"}
    with pytest.raises(UserError, match="Unknown data set of the record of cell 0: 'cifar'. Did you mean cifar10"):
        record.trainings("cifar", 200)
    with pytest.raises(UserError, match="has trainings on cifar10 for 12 and 200 epochs, not for 90"):
        record.trainings("cifar10", 90)


TEXT = to_text(zoo.nasbench201(5))


def training(**changes):
    one = {
        "epochs": 2,
        "params": np.float64(0.5),
        "flop": 10.0,
        "train_acc1es": {0: 10.0, 1: 20.0},
        "train_times": OrderedDict({0: 3.0, 1: 3.0}),
        "eval_acc1es": {"ori-test@1": 15.0},
        "eval_times": {"ori-test@0": 1.0, "ori-test@1": 1.0},
        "net_state_dict": None,
    }
    return one | changes


def made(schedule=None, trained=None, **changes):
    found = {"arch_index": 5, "arch_str": TEXT, "all_results": {("cifar10", 777): trained or training()}}
    return OrderedDict({"12": schedule or found | changes})


def written(path, content):
    content = content if isinstance(content, bytes) else pickle.dumps(content, protocol=4)
    path.write_bytes(bz2.compress(content))
    return path


def test_a_record_as_python_writes_it(tmp_path):
    for protocol in (2, 4, 5):
        record = nats.read(written(tmp_path / "5.pickle.pbz2", pickle.dumps(made(), protocol=protocol)))
        (found,) = record.trainings("cifar10", 2)
        assert (record.number, record.genotype, found.parameters) == (5, parse(TEXT), 500_000)
        assert found.accuracy["train"].tolist() == [10, 20] and found.seconds["test"].tolist() == [1, 1]
    assert nats.described(record)["trainings"][0]["accuracy"]["test"] == [None, 15.0]


def test_the_record_of_a_cell_in_a_folder(tmp_path):
    written(tmp_path / "5.pickle.pbz2", made())
    assert nats.record_of(tmp_path, parse(TEXT)).number == 5
    written(tmp_path / "000006.pickle.pbz2", made())
    with pytest.raises(UserError, match="should be the record of cell 6, and is that of 5"):
        nats.record_of(tmp_path, zoo.nasbench201(6))
    with pytest.raises(UserError, match="Cannot read .*000007.pickle.pbz2 .No such file"):
        nats.record_of(tmp_path, zoo.nasbench201(7))
    with pytest.raises(UserError, match="is no cell of NAS-Bench-201"):
        nats.record_of(tmp_path, parse("|none~0|"))


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


HOSTILE = {
    "a call": (made(trained=Runs()), "Refused .*: it asks to run '(posix|nt).mkdir', which no record needs"),
    "weights": (made(trained=training(net_state_dict=pytest.approx)), "Refused .* which no record needs"),
    "an attribute": (b"cbuiltins\neval\n.", "Refused .*builtins.eval"),
    "a changed class": (b"ccollections\nOrderedDict\n}b.", "changes something that is no array"),
    "deep key": (b"}" + b")" + b"\x85" * 100_000 + b"Ns.", "no text, number or pair"),
    "a set": (made(trained={1, 2}), "corrupt"),
    "no dict": ([1], "its schedules are no dictionary"),
    "empty": ({}, "its schedules are no dictionary"),
    "another kind": (made(all_results=[1]), "no 'all_results'"),
    "no pair": (made(all_results={"cifar10": training()}), "no data set and seed of NATS-Bench"),
    "another data set": (made(all_results={("mnist", 1): training()}), "no data set and seed of NATS-Bench"),
    "another cell": (made(arch_index=6), "is not the cell 6"),
    "a long text": (made(arch_str="|" * 10**6), "is not the cell 5"),
    "no text": (made(arch_str=5), "no 'arch_str'"),
    "epochs": (made(trained=training(epochs=10**9)), "takes 1,000,000,000 epochs"),
    "percents": (made(trained=training(train_acc1es={0: 101.0})), "after epoch 1 is 101.0"),
    "NaN": (made(trained=training(eval_acc1es={"ori-test@1": float("nan")})), "after epoch 2 is nan"),
    "parameters": (made(trained=training(params=float("inf"))), "inf M parameters"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_records(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, says = HOSTILE[kind]
    path = written(tmp_path / "5.pickle.pbz2", content)
    with pytest.raises(UserError, match=says) as error:
        nats.read(path)
    assert str(path) in str(error.value) and not Path("ran").exists()


def test_damaged_records(tmp_path):
    path = written(tmp_path / "5.pickle.pbz2", made())
    content = path.read_bytes()
    for broken in (content[:-20], b"", b"no bz2", content[:50] + b"\0" + content[51:]):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="truncated or corrupt"):
            nats.read(path)
    path.write_bytes(bz2.compress(bytes(nats.MOST_INFLATED + 1)))
    with pytest.raises(UserError, match="inflates to more than 60,000,000 bytes"):
        nats.read(path)
    with open(path, "wb") as file:
        file.truncate(nats.MOST_BYTES + 1)
    with pytest.raises(UserError, match="20,000,001 bytes"):
        nats.read(path)
