"""Reading files: tiny archives in the real formats, and their broken and hostile variants."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnas.data import load, split
from dnas.data._files import write_atomically

RANDOM = np.random.default_rng(0)
TRAIN, TEST = 20, 10


def random_images(count: int, side: int = 32, channels: int = 3) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


# --- Fashion-MNIST


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def fashion(data_folder, monkeypatch) -> Path:
    monkeypatch.setattr("dnas.data.fashion_mnist.DEBIAN", data_folder / "no_debian")
    folder = data_folder / "fashion_mnist"
    folder.mkdir()
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        x, y = random_images(count, 28, 1)[..., 0], (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(y)))
    return folder


def test_fashion_mnist(fashion):
    data = load("fashion_mnist")
    assert data.train_x.shape == (TRAIN, 28, 28, 1) and data.test_x.shape == (TEST, 28, 28, 1)
    raw = gzip.decompress((fashion / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    assert data.train_x.tobytes() == raw
    assert data.test_y.tolist() == list(range(10))
    assert data.classes[9] == "Ankle boot" and data.note == ""


def test_fashion_mnist_without_a_folder_of_its_own(fashion):
    for file in fashion.iterdir():
        file.rename(fashion.parent / file.name)
    fashion.rmdir()
    assert len(load("fashion_mnist").train_x) == TRAIN


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
PIXELS = bytes(TRAIN * 28 * 28)


BROKEN_IDX = [
    (IMAGES, b"", ["truncated or corrupt"]),
    (IMAGES, b"no gzip", ["truncated or corrupt"]),
    (IMAGES, gzip.compress(b""), ["truncated or corrupt"]),
    (IMAGES, gzip.compress(idx(np.zeros((TRAIN, 28, 28), np.uint8)))[:-20], ["truncated or corrupt"]),
    (IMAGES, gzip.compress(struct.pack(">IIII", 2051, TRAIN, 28, 28) + PIXELS[:-1]), ["promises 15680"]),
    (IMAGES, gzip.compress(struct.pack(">IIII", 2051, TRAIN, 28, 28) + PIXELS + b"x"), ["more"]),
    (IMAGES, gzip.compress(struct.pack(">IIII", 2049, TRAIN, 28, 28) + PIXELS), ["magic", "2049"]),
    (IMAGES, gzip.compress(struct.pack(">IIII", 2051, 2**32 - 1, 28, 28)), ["4294967295"]),
    (IMAGES, gzip.compress(struct.pack(">IIII", 2051, TRAIN, 56, 14) + PIXELS), ["56x14"]),
    (LABELS, gzip.compress(idx(np.zeros(TRAIN - 1, np.uint8))), ["20 images", "19"]),
]


# Numbered: a gzip stream has the time in it, and pytest-xdist needs equal names in all its workers.
@pytest.mark.parametrize(("file", "content", "words"), BROKEN_IDX, ids=range(len(BROKEN_IDX)))
def test_broken_fashion_mnist(fashion, file, content, words, refused):
    (fashion / file).write_bytes(content)
    with refused(fashion / "train-", "again", *words):
        load("fashion_mnist")


def test_flipped_bytes_in_the_middle(fashion, refused):
    content = bytearray((fashion / IMAGES).read_bytes())
    content[5000:5400] = bytes(400)
    (fashion / IMAGES).write_bytes(content)
    with refused(fashion / IMAGES):
        load("fashion_mnist")


def test_fashion_mnist_with_an_impossible_label(fashion, refused):
    (fashion / LABELS).write_bytes(gzip.compress(idx(np.full(TRAIN, 10, np.uint8))))
    with refused("fashion_mnist", "10 classes"):
        load("fashion_mnist")


def test_fashion_mnist_with_one_file_missing(fashion, refused):
    (fashion / LABELS).unlink()
    with refused(fashion / LABELS, "No such file"):
        load("fashion_mnist")


# --- CIFAR


def batch(count: int, key: bytes, classes: int) -> dict[bytes, object]:
    rows = random_images(count).transpose(0, 3, 1, 2).reshape(count, -1)
    return {b"data": rows, key: (np.arange(count) % classes).tolist(), b"filenames": [b"a.png"] * count}


def cifar10_members() -> dict[str, dict]:
    members = {f"data_batch_{i}": batch(4, b"labels", 10) for i in range(1, 6)}
    names = [f"class {i}".encode() for i in range(10)]
    return members | {"test_batch": batch(TEST, b"labels", 10), "batches.meta": {b"label_names": names}}


def cifar100_members() -> dict[str, dict]:
    names = {b"fine_label_names": [f"class {i}".encode() for i in range(100)]}
    train, test = batch(TRAIN, b"fine_labels", 100), batch(TEST, b"fine_labels", 100)
    return {"train": train | {b"coarse_labels": [0] * TRAIN}, "test": test, "meta": names}


CIFAR = {
    "cifar10": ("cifar-10-python.tar.gz", "cifar-10-batches-py", cifar10_members),
    "cifar100": ("cifar-100-python.tar.gz", "cifar-100-python", cifar100_members),
}


def write_archive(path: Path, folder: str, contents: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_folder(path: Path, contents: dict[str, bytes]) -> None:
    path.mkdir(parents=True)
    for name, content in contents.items():
        (path / name).write_bytes(content)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("name", CIFAR)
def test_cifar_from_archive_and_folder(name, protocol, data_folder):
    archive, folder, make = CIFAR[name]
    members = make()
    contents = {member: pickle.dumps(value, protocol) for member, value in members.items()}
    extra = {"readme.html": b"<html>", "../../escape": b"x"}
    write_archive(data_folder / archive, folder, extra | contents)
    from_archive = load(name)
    (data_folder / archive).unlink()
    write_folder(data_folder / name / folder, contents)
    from_folder = load(name)
    assert not (data_folder.parent / "escape").exists()
    train = [members[m] for m in members if "train" in m or "data_batch" in m]
    rows = np.concatenate([m[b"data"] for m in train])
    for data in (from_archive, from_folder):
        assert data.train_x.shape == (TRAIN, 32, 32, 3) and data.test_x.shape == (TEST, 32, 32, 3)
        # Row 5, column 7, blue: planes of 1,024, rows of 32.
        assert data.train_x[3, 5, 7, 2] == rows[3, 2 * 1024 + 5 * 32 + 7]
        np.testing.assert_array_equal(data.train_x.transpose(0, 3, 1, 2).reshape(TRAIN, -1), rows)
        assert data.train_y.tolist() == sum((m.get(b"labels", m.get(b"fine_labels")) for m in train), [])
        assert data.classes[7] == "class 7" and len(data.classes) == (100 if name == "cifar100" else 10)


# What Python 2 wrote, byte for byte: names of numpy 1, text keys, protocol 2.
PYTHON2_ARRAY = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
    b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89T\x00\x18\x00\x00"
)


def test_cifar_as_python_2_wrote_it(data_folder):
    pixels = random_images(2).transpose(0, 3, 1, 2).tobytes()
    array = PYTHON2_ARRAY[2:] + pixels + b"tb"
    content = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x03K\x04eu."
    assert pickle.loads(content, encoding="bytes")[b"data"].shape == (2, 3072)
    contents = {member: pickle.dumps(value, 2) for member, value in cifar10_members().items()}
    write_folder(data_folder / "cifar-10-batches-py", contents | {"test_batch": content})
    data = load("cifar10")
    assert data.test_x.transpose(0, 3, 1, 2).tobytes() == pixels
    assert data.test_y.tolist() == [3, 4]


class Runs:
    """Pickles as a call of os.system."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", CIFAR)
def test_a_pickle_that_would_run_a_command_does_not(name, packed, data_folder, tmp_path, refused):
    archive, folder, make = CIFAR[name]
    trace = tmp_path / "it_ran"
    members = make()
    member = list(members)[0]
    members[member][b"extra"] = Runs(f"touch {trace}")
    contents = {m: pickle.dumps(value) for m, value in members.items()}
    if packed:
        write_archive(data_folder / archive, folder, contents)
    else:
        write_folder(data_folder / folder, contents)
    with refused("Refused", member, "system", "download"):
        load(name)
    assert not trace.exists()


BAD_PICKLES = [
    (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
    (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
    (b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.", "fromfile"),
    (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "ndarray.tofile"),
    (b"cnumpy\nndarray\n(I3\ntR.", "truncated or corrupt"),
    (b"cnumpy\ndtype\n(S'O'\ntR.", "array of type 'O'"),
    (b"cnumpy\ndtype\n(S'f8'\ntR.", "array of type 'f8'"),
    (b"Pabc\n.", "outside of the file"),
    (b"]", "truncated or corrupt"),
    (b"].", "no dict"),
    (b"", "ends early"),
    (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", "truncated or corrupt"),
    (b"((((", "truncated or corrupt"),
    (b"\x80\x63.", "truncated or corrupt"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}), "labels"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}), "2 images"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, -1]}), "-1"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": "ab"}), "labels"),
    (pickle.dumps({b"data": np.zeros((2, 3071), np.uint8), b"labels": [1, 2]}), "[2, 3071]"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.int32), b"labels": [1, 2]}), "uint8"),
    (pickle.dumps({b"data": [1, 2], b"labels": [1, 2]}), "uint8"),
    (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]})[:-100], "corrupt"),
]


@pytest.mark.parametrize(("call", "asked"), BAD_PICKLES, ids=range(len(BAD_PICKLES)))
def test_broken_or_hostile_pickles(call, asked, data_folder, refused):
    contents = {m: pickle.dumps(value) for m, value in cifar10_members().items()}
    folder = data_folder / "cifar-10-batches-py"
    write_folder(folder, contents | {"data_batch_3": call})
    with refused(folder / "data_batch_3", "download", asked):
        load("cifar10")


def test_broken_class_names(data_folder, refused):
    contents = {m: pickle.dumps(value) for m, value in cifar10_members().items()}
    broken = {"batches.meta": pickle.dumps({b"label_names": [b"one"]})}
    write_folder(data_folder / "cifar-10-batches-py", contents | broken)
    with refused("batches.meta", "10 names"):
        load("cifar10")


@pytest.mark.parametrize("keep", [0, 10, 1000, -1000, -4])
def test_truncated_archives(keep, data_folder, refused):
    archive, folder, make = CIFAR["cifar100"]
    contents = {m: pickle.dumps(value) for m, value in make().items()}
    # The members after which reading stops come last, so that any cut is met.
    write_archive(data_folder / archive, folder, contents)
    whole = (data_folder / archive).read_bytes()
    (data_folder / archive).write_bytes(whole[:keep])
    if keep == -4:  # all members are complete: only the checksum of the archive is cut, which reading never reaches
        load("cifar100")
        return
    with refused(data_folder / archive, "download"):
        load("cifar100")


def test_archives_that_lack_a_member_or_link_to_one(data_folder, refused):
    archive, folder, make = CIFAR["cifar100"]
    with tarfile.open(data_folder / archive, "w:gz") as file:
        for member in make():
            info = tarfile.TarInfo(f"{folder}/{member}")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            file.addfile(info)
    with refused(data_folder / archive, "no member", "train"):
        load("cifar100")


def test_a_member_that_promises_too_much(data_folder, refused, monkeypatch):
    monkeypatch.setattr("dnas.data._cifar.MOST_BYTES", 1000)
    archive, folder, make = CIFAR["cifar100"]
    contents = {m: pickle.dumps(value) for m, value in make().items()}
    write_archive(data_folder / archive, folder, contents)
    with refused(data_folder / archive, "bytes"):
        load("cifar100")


# --- JPEG CIFAR-10


def jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75, subsampling="4:2:0")
    return file.getvalue()


def packed_jpegs(count: int = TRAIN + TEST) -> dict[str, np.ndarray]:
    files = [jpeg(image) for image in random_images(count)]
    head = os.path.commonprefix(files)
    scans = [file[len(head) :] for file in files]
    return {
        "header": np.frombuffer(head, np.uint8),
        "scans": np.frombuffer(b"".join(scans), np.uint8),
        "offsets": np.cumsum([0, *map(len, scans)]),
        "labels": (np.arange(count) % 10).astype(np.uint8),
        "is_test": np.arange(count) >= TRAIN,
        "classes": np.array([f"class {i}" for i in range(10)]),
    }


def test_cifar10_jpeg_decodes_once(data_folder, monkeypatch):
    packed = packed_jpegs()
    np.savez(data_folder / "cifar10_jpeg.npz", **packed)
    data = load("cifar10_jpeg")
    assert data.train_x.shape == (TRAIN, 32, 32, 3) and data.test_x.shape == (TEST, 32, 32, 3)
    assert "JPEG CIFAR-10 (quality 75, 4:2:0): not comparable" in data.note
    head, cuts = packed["header"].tobytes(), packed["offsets"]
    for i in (0, TRAIN - 1, TRAIN + 3):
        file = io.BytesIO(head + packed["scans"][cuts[i] : cuts[i + 1]].tobytes())
        x, y = (data.train_x, data.train_y) if i < TRAIN else (data.test_x, data.test_y)
        where = np.flatnonzero((x == np.asarray(Image.open(file))).all(axis=(1, 2, 3)))
        assert len(where) == 1 and y[where[0]] == packed["labels"][i]
    monkeypatch.setattr("dnas.data.cifar10_jpeg._decode", None)  # a second decoding would fail
    again = load("cifar10_jpeg")
    np.testing.assert_array_equal(again.train_x, data.train_x)
    assert load("cifar10_jpeg:size=16").train_x.shape == (TRAIN, 16, 16, 3)
    assert not [file for file in data_folder.iterdir() if file.name.startswith(".")]


def test_cifar10_jpeg_in_index_order_is_not_in_class_order(data_folder):
    packed = packed_jpegs()
    packed["labels"] = np.sort(packed["labels"])
    np.savez(data_folder / "cifar10_jpeg.npz", **packed)
    labels = split(load("cifar10_jpeg"), 0.5, seed=0, shuffle=False).train_y
    assert (np.diff(labels) < 0).any()


def test_cifar10_jpeg_decodes_again_when_its_source_or_cache_changed(data_folder):
    np.savez(data_folder / "cifar10_jpeg.npz", **packed_jpegs())
    first = load("cifar10_jpeg")
    cache = next(data_folder.rglob("*decoded*"))
    cache.write_bytes(cache.read_bytes()[:1000])
    np.testing.assert_array_equal(load("cifar10_jpeg").train_x, first.train_x)
    np.savez(data_folder / "cifar10_jpeg.npz", **packed_jpegs())
    assert not np.array_equal(load("cifar10_jpeg").train_x, first.train_x)


def test_cifar10_jpeg_without_a_place_to_keep_it(data_folder, tmp_path, monkeypatch, capsys):
    shared = tmp_path / "shared" / "data" / "cifar10_jpeg"
    shared.mkdir(parents=True)
    np.savez(shared / "cifar10_jpeg.npz", **packed_jpegs())
    monkeypatch.setenv("DNAS_SHARED", str(tmp_path / "shared"))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path / "file"))
    assert len(load("cifar10_jpeg").train_x) == TRAIN
    assert "Warning: cannot keep decoded images" in capsys.readouterr().err


def changed(**changes: object) -> dict[str, np.ndarray]:
    arrays = {**packed_jpegs(12), "is_test": np.arange(12) >= 6}
    return {k: changes[k](v) if k in changes else v for k, v in arrays.items()}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": lambda v: v[:-1]}, ["11 labels"]),
        ({"labels": lambda v: v + 5}, ["10 classes"]),
        ({"labels": lambda v: v.astype(str)[:, None]}, ["labels"]),
        ({"labels": lambda v: np.array(["cat"] * 12)}, ["corrupt"]),
        ({"labels": lambda v: v.astype(object)}, ["'labels' of Python objects"]),
        ({"is_test": lambda v: v & False}, ["test images"]),
        ({"offsets": lambda v: v[::-1]}, ["offsets"]),
        ({"offsets": lambda v: v + 1}, ["offsets"]),
        ({"offsets": lambda v: v[0]}, ["corrupt"]),
        ({"scans": lambda v: v[:-1]}, ["offsets"]),
        ({"header": lambda v: v[::-1]}, ["Image 0", "no image in a known format"]),
        ({"header": lambda v: np.frombuffer(jpeg(random_images(1, 64)[0])[:-2], np.uint8)}, ["64x64"]),
    ],
)
def test_broken_cifar10_jpeg(changes, words, data_folder, refused):
    np.savez(data_folder / "cifar10_jpeg.npz", **changed(**changes))
    with refused("cifar10_jpeg", *words):
        load("cifar10_jpeg")


@pytest.mark.parametrize("keep", [0, 3, 200, -200])
def test_truncated_cifar10_jpeg(keep, data_folder, refused):
    file = data_folder / "cifar10_jpeg.npz"
    np.savez(file, **packed_jpegs())
    file.write_bytes(file.read_bytes()[:keep])
    with refused(file, "truncated or corrupt", "again"):
        load("cifar10_jpeg")


# --- npz


def test_npz(tmp_path):
    x, y = random_images(40, 6), np.arange(40) % 2
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    data = load(f"npz:path={tmp_path / 'mine.npz'}")
    assert data.name == "mine" and (len(data.train_x), len(data.test_x)) == (32, 8)
    np.savez(tmp_path / "both.npz", x=x, y=y, x_test=x[:5], y_test=y[:5])
    data = load(f"npz:path={tmp_path / 'both.npz'},size=3,limit=10")
    assert data.train_x.shape == (10, 3, 3, 3) and data.test_x.shape == (2, 3, 3, 3)
    assert "only 10 of 40" in data.note and "from 6x6 to 3x3" in data.note


def test_unfit_npz(tmp_path, refused):
    x, y = random_images(4, 6), np.arange(4) % 2
    file = tmp_path / "mine.npz"
    choice = f"npz:path={file}"
    with refused("npz:path=FILE"):
        load("npz")
    with refused(file, "No such file"):
        load(choice)
    with refused(tmp_path, "directory"):
        load(f"npz:path={tmp_path}")
    np.savez(file, images=x, labels=y)
    with refused(file, "no array 'x'", "images, labels"):
        load(choice)
    np.savez(file, x=x, y=y, x_test=x)
    with refused(file, "test images only"):
        load(choice)
    np.savez(file, x=x, y=y.astype(object))
    with refused(file, "'y' of Python objects"):
        load(choice)
    with file.open("wb") as single:
        np.save(single, x)
    with refused(file, "single .npy"):
        load(choice)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': __import__('os')}".ljust(118))
        archive.writestr("y.npy", b"nothing")
    with refused(file, "corrupt"):
        load(choice)


class Touches:
    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_an_npz_is_never_unpickled(tmp_path, refused):
    trace, file = tmp_path / "it_ran", tmp_path / "mine.npz"
    np.savez(file, x=np.array([Touches(trace)], dtype=object), y=np.zeros(1, int))
    with refused(file):
        load(f"npz:path={file}")
    file.write_bytes(pickle.dumps(Touches(trace)))
    with refused(file):
        load(f"npz:path={file}")
    assert not trace.exists()


# --- writing


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "kept"
    write_atomically(file, lambda f: f.write(b"old"))

    def fail(f):
        f.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, fail)
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]
