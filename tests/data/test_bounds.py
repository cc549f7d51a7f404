"""What is read is bounded: pipes, devices and bombs in the place of every file are refused at once, in one sentence."""

import gzip
import io
import os
import pickle
import signal
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnas.architectures.genotype import parse
from dnas.data import load, tailored
from dnas.data._archives import inflated, read_npz, read_tar
from dnas.data._arrays import as_images
from dnas.data._cifar import class_names, images_and_labels, unpickle
from dnas.data._files import check_memory, first_existing, free_memory
from dnas.errors import UserError
from dnas.paths import opened
from dnas.tables import nasbench201 as tabular

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


class Hangs(BaseException):
    """No `Exception`: the readers turn those into sentences."""


def hangs(*_):
    raise Hangs


@pytest.fixture(autouse=True)
def in_time():
    previous = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


# --- one reader of every file


def fashion(folder: Path) -> Path:
    for part in ("train", "t10k"):
        images, labels = np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)
        head = {images.tobytes(): (2051, 10, 28, 28), labels.tobytes(): (2049, 10)}
        for name, (content, numbers) in zip(("images-idx3", "labels-idx1"), head.items(), strict=True):
            packed = gzip.compress(struct.pack(f">{len(numbers)}I", *numbers) + content)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(packed)
    return folder / "t10k-labels-idx1-ubyte.gz"


def cifar_folder(folder: Path) -> Path:
    place = folder / "cifar-100-python"
    place.mkdir()
    batch = {b"data": np.zeros((100, 3072), np.uint8), b"fine_labels": list(range(100))}
    for name in ("train", "test"):
        (place / name).write_bytes(pickle.dumps(batch))
    (place / "meta").write_bytes(pickle.dumps({b"fine_label_names": [f"class {i}" for i in range(100)]}))
    return place / "meta"


def cifar_archive(folder: Path) -> Path:
    place = cifar_folder(folder).parent
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(place, "cifar-100-python")
    place.rename(folder / "elsewhere")
    return folder / "cifar-100-python.tar.gz"


def jpegs(folder: Path) -> Path:
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG")
    scan = np.frombuffer(file.getvalue(), np.uint8)
    arrays = {"header": scan[:0], "scans": np.tile(scan, 20), "offsets": np.arange(21) * len(scan)}
    arrays |= {"labels": np.arange(20) % 10, "is_test": np.arange(20) >= 10, "classes": np.array(list("abcdefghij"))}
    np.savez(folder / "cifar10_jpeg.npz", **arrays)
    return folder / "cifar10_jpeg.npz"


def own_arrays(folder: Path) -> Path:
    np.savez(folder / "mine.npz", x=np.zeros((10, 4, 4), np.uint8), y=np.arange(10) % 2)
    return folder / "mine.npz"


def own_images(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / "mine" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (8, 8)).save(folder / "mine" / name / f"{i}.png")
    return folder / "mine" / "dog" / "1.png"


def table(folder: Path) -> Path:
    path = folder / "mine.npz"
    np.savez(path, **{name: np.zeros(5**6, np.int32) for name in tabular.STORED})
    return path


FILES = {
    "fashion_mnist": fashion,
    "cifar100, extracted": cifar_folder,
    "cifar100": cifar_archive,
    "cifar10_jpeg": jpegs,
    "npz:path=mine.npz": own_arrays,
    "image_folder:path=mine,size=4": own_images,
    "table": table,
}


@pytest.fixture
def read(data_folder, monkeypatch):
    monkeypatch.setattr("dnas.data.fashion_mnist.DEBIAN", data_folder / "no_debian")
    monkeypatch.chdir(data_folder)
    monkeypatch.setattr(tabular, "FILE", data_folder / "mine.npz")
    tabular._read.cache_clear()
    return lambda name: (
        tabular.nasbench201(parse(CELL)) if name == "table" else load(name.partition(",")[0] + SIZES[name])
    )


SIZES = {name: ",size=4" if "image_folder" in name else "" for name in FILES}


def no_file(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path)
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize("kind", ["pipe", "folder", "/dev/zero"])
@pytest.mark.parametrize("name", FILES)
def test_only_regular_files_are_read(name, kind, data_folder, read, refused):
    path = FILES[name](data_folder)
    read(name)
    tabular._read.cache_clear()
    no_file(path, kind)
    if name == "cifar100" and kind == "folder":  # which is where it may be extracted
        with refused(path, "No such file"):
            read(name)
        return
    with refused(path.name, {"pipe": "named pipe", "folder": "directory"}.get(kind, "device")):
        read(name)


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_a_file_is_read(name, data_folder, read):
    path = FILES[name](data_folder)
    path.rename(data_folder / "elsewhere_too")
    path.symlink_to(data_folder / "elsewhere_too")
    assert read(name) is not None


def test_a_link_to_itself_is_no_place_where_data_are(data_folder):
    no_file(own_arrays(data_folder), "link to itself")
    assert first_existing([data_folder / "mine.npz"]) is None


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "link to itself"])
def test_a_cache_that_is_no_file_is_made_again(kind, data_folder, read):
    jpegs(data_folder)
    first = read("cifar10_jpeg")
    cache = next(data_folder.rglob("*decoded*"))
    no_file(cache, kind)
    np.testing.assert_array_equal(read("cifar10_jpeg").train_x, first.train_x)
    assert cache.is_file() and not cache.is_symlink()


def test_a_folder_where_the_cache_should_be(data_folder, read, capsys):
    jpegs(data_folder)
    read("cifar10_jpeg")
    no_file(next(data_folder.rglob("*decoded*")), "folder")
    assert len(read("cifar10_jpeg").train_x) == 10
    assert "Warning: cannot keep decoded images" in capsys.readouterr().err
    assert not list(data_folder.glob(".*"))


def test_a_disk_that_is_full_does_not_stop_a_run(data_folder, read, monkeypatch, capsys):
    jpegs(data_folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert len(read("cifar10_jpeg").train_x) == 10
    assert "No space left on device" in capsys.readouterr().err
    assert [file.name for file in data_folder.rglob("*") if file.is_file()] == ["cifar10_jpeg.npz"]


def test_a_file_of_more_bytes_than_any_of_its_kind_is_not_read(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10**12)
    with pytest.raises(ValueError, match="1,000,000,000,000 bytes"), opened(tmp_path / "sparse", 10**9):
        pass


# --- .npz


def header(shape: object, descr: str = "|u1", order: bool = False, version: bytes = b"\1\0") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}".encode()
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text


def write_zip(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


X = header((2, 3)) + bytes(range(6))


@pytest.mark.parametrize(
    "content",
    [
        header((10**18,)) + b"x",
        header((10**9, 10**9, 10**9)) + b"x",
        header((2**32, 2**32)) + bytes(0),  # 0 bytes, where numbers go round in circles
        header((-1, -6)) + bytes(6),
        header((6,)) + bytes(5),
        header((6,)) + bytes(7),
        header((10**18,), "<U0"),
        header((6.0,)) + bytes(6),
        b"\x93NUMPY\2\0" + b"\xff\xff\xff\xff" + b" " * 100,
        b"\x93NUMPY\2\0" + struct.pack("<I", 2**20) + b" " * 2**20,
        b"\x93NUMPY\7\0" + X[8:],
        b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"{'descr': " + b"-" * 8990,
        b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"{'descr': " + b"[" * 8990,
        b"",
    ],
    ids=range(14),
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_that_promise_what_is_not_there(content, method, tmp_path, refused, monkeypatch):
    read = zipfile.ZipExtFile.read

    def read_some(file, count=-1):
        assert 0 <= count <= 2**14, "all of it would be inflated"
        return read(file, count)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", read_some)
    monkeypatch.setattr("dnas.data._archives._array", hangs)
    with refused(tmp_path / "a.npz", "truncated or corrupt"):
        read_npz(write_zip(tmp_path / "a.npz", method, x=content), ["x"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (X, np.arange(6, dtype=np.uint8).reshape(2, 3)),
        (header((2, 3), order=True) + bytes(range(6)), np.arange(6, dtype=np.uint8).reshape(3, 2).T),
        (header((2, 3), version=b"\2\0") + bytes(range(6)), np.arange(6, dtype=np.uint8).reshape(2, 3)),
        (header((0, 3)), np.zeros((0, 3), np.uint8)),
        (header(()) + b"\7", np.array(7, np.uint8)),
        (header((2,), ">f4") + np.array([1, 2], ">f4").tobytes(), np.array([1, 2], ">f4")),
        (header((2,), "<U1") + np.array(["a", "b"]).tobytes(), np.array(["a", "b"])),
    ],
    ids=range(7),
)
def test_arrays_of_every_order_and_type(content, expected, tmp_path):
    arrays, others = read_npz(write_zip(tmp_path / "a.npz", x=content), ["x"], ["y"])
    np.testing.assert_array_equal(arrays["x"], expected)
    assert arrays["x"].dtype == expected.dtype and not others
    assert arrays["x"].flags.f_contiguous == expected.flags.f_contiguous


def test_an_array_of_several_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("dnas.data._archives.CHUNK", 7)
    x = np.random.default_rng(0).integers(0, 256, (5, 5), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x=x)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", ["x"])[0]["x"], x)


def lie(path: Path, offset: int, number: int) -> None:
    """Change a size in the directory of a zip that has one member: 20 packed, 24 unpacked."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2") + offset
    content[at : at + 4] = struct.pack("<I", number)
    path.write_bytes(content)


@pytest.mark.parametrize("by", [-1, 1, 1000, 2**31])
def test_zips_that_lie_about_sizes(by, tmp_path, refused):
    path = write_zip(tmp_path / "a.npz", x=X)
    lie(path, 24, len(X) + by)
    with refused(path, "truncated or corrupt"):
        read_npz(path, ["x"])
    write_zip(path, x=X)
    lie(path, 20, 20 + by if by < 0 else 2**31)
    try:
        assert read_npz(path, ["x"])[0]["x"].tobytes() == bytes(range(6))  # they can be told all the same
    except UserError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("missing", [1, 2**31])
def test_zips_that_lie_as_their_headers_do(missing, tmp_path, refused):
    size = 6 + missing
    path = write_zip(tmp_path / "a.npz", x=header((size,)) + bytes(6))
    lie(path, 24, len(header((size,))) + size)
    with refused(path, "corrupt" if missing == 1 else "inflate from"):
        read_npz(path, ["x"])


def test_more_axes_than_numpy_has(tmp_path, refused):
    with refused(tmp_path / "a.npz", "truncated or corrupt"):
        read_npz(write_zip(tmp_path / "a.npz", x=header((1,) * 70) + bytes(1)), ["x"])


def test_a_changed_byte_is_found(tmp_path, refused):
    path = write_zip(tmp_path / "a.npz", zipfile.ZIP_STORED, x=X)
    path.write_bytes(path.read_bytes().replace(bytes(range(6)), bytes(6)))
    with refused(path, "CRC"):
        read_npz(path, ["x"])


def test_what_does_not_fit_into_memory_is_not_inflated(tmp_path, refused, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(600, np.uint8), y=np.zeros(600, np.uint8))
    monkeypatch.setattr("dnas.data._files.free_memory", lambda: 2000)  # each would fit, both do not
    read_npz(tmp_path / "a.npz", ["x"])
    monkeypatch.setattr("dnas.data._archives._array", hangs)
    with refused(tmp_path / "a.npz", "half of the free memory", "fewer or smaller"):
        read_npz(tmp_path / "a.npz", ["x"], ["y"])


def test_what_inflates_without_measure_is_not_inflated(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("dnas.data._archives.BOMB_BYTES", 10**5)
    random = np.random.default_rng(0).integers(0, 256, 10**6, np.uint8)
    zeros = np.zeros(10**6, np.uint8)
    np.savez_compressed(tmp_path / "random.npz", x=random)
    np.savez(tmp_path / "zeros.npz", x=zeros)
    for name in ("random", "zeros"):
        read_npz(tmp_path / f"{name}.npz", ["x"])
    np.savez_compressed(tmp_path / "bomb.npz", x=zeros)
    monkeypatch.setattr("dnas.data._archives._array", hangs)
    with refused(tmp_path / "bomb.npz", "inflate from 0.0 MB", "numpy.savez"):
        read_npz(tmp_path / "bomb.npz", ["x"])


def test_other_packings_are_refused_and_other_arrays_left_alone(tmp_path, refused, monkeypatch):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x", "y"):
            archive.writestr(
                f"{name}.npy",
                header((4, 2, 2) if name == "x" else (4,), "|u1") + bytes([0, 1] * (8 if name == "x" else 2)),
            )
        archive.writestr("x_val.npy", b"no array", zipfile.ZIP_BZIP2)
    monkeypatch.chdir(tmp_path)
    data = load("npz:path=a.npz")
    assert "left out: x_val" in data.note
    write_zip(path, zipfile.ZIP_BZIP2, x=X)
    with refused(path, "numpy does not write"):
        read_npz(path, ["x"])
    write_zip(path, zipfile.ZIP_LZMA, x=X)
    with refused(path, "numpy does not write"):
        read_npz(path, ["x"])


# --- .tar.gz


def member(name: str, content: bytes = b"", **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def sparse(name: str, size: int) -> bytes:
    """A member of any size that takes no room."""
    head = bytearray(member(name, type=tarfile.GNUTYPE_SPARSE))
    head[483:495] = b"%011o\0" % size
    head[148:156] = b"%06o\0 " % tarfile.calc_chksums(head)[0]
    return bytes(head)


FIRST, WANTED, END = member("a/first", b"1"), member("a/wanted", b"content"), bytes(1024)


def read_members(content: bytes, most: int = 100_000) -> dict[str, bytes]:
    return read_tar(io.BytesIO(content), ["a/wanted"], most)


def test_members_are_read_up_to_the_last_that_is_wanted():
    other = member("a/other", bytes(50_000))
    assert read_members(other + WANTED + END) == {"a/wanted": b"content"}
    assert read_members(member("./a/wanted", b"content") + END) == {"a/wanted": b"content"}
    assert read_members(other + WANTED + other * 9) == {"a/wanted": b"content"}
    assert read_members(other + END) == {}


@pytest.mark.parametrize(
    "content",
    [
        member("a/other", bytes(200_000)) + WANTED,
        member("a/other", bytes(60_000)) * 3 + WANTED,
        member("a/other", size=10**10) + bytes(200_000),
        member("a/wanted", size=10**10) + bytes(200_000),
        member("a/wanted", size=10**10),
        member("a/other", size=-512) + WANTED,  # its end is its beginning
        member("a/other", size=-(10**6)) + WANTED,
        member("a/wanted", size=-512) + WANTED,
        member("a/long", b"x" * 200_000, type=tarfile.GNUTYPE_LONGNAME) + WANTED,
        member("a/long", size=10**10, type=tarfile.XHDTYPE) + bytes(200_000),
        sparse("a/wanted", 8**11 - 1),
        member("a/other") * 150 + WANTED,
    ],
    ids=range(12),
)
def test_archives_that_would_never_end(content, refused, monkeypatch):
    monkeypatch.setattr("dnas.data._archives.MOST_MEMBERS", 100)
    with pytest.raises((ValueError, tarfile.TarError)):
        read_members(FIRST + content + END)


def test_a_bomb_in_front_of_the_wanted_members(data_folder, refused, monkeypatch):
    archive = cifar_archive(data_folder)
    monkeypatch.setattr("dnas.data._cifar.MOST_BYTES", 1_000_000)
    assert len(load("cifar100").classes) == 100
    with gzip.open(archive, "wb") as file:
        file.write(member("bomb", size=10**10) + bytes(10**7))
    with refused(archive, "more than 2,000,000 bytes"):
        load("cifar100")


# --- .gz


def test_gz_files_are_inflated_up_to_a_bound(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(1000)))
    assert inflated(tmp_path / "a.gz", 1000) == bytes(1000)
    with pytest.raises(ValueError, match="more than 999 bytes"):
        inflated(tmp_path / "a.gz", 999)


# --- the table of the package


def whole(path: Path) -> dict[str, np.ndarray]:
    with np.load(table(path)) as arrays:
        return dict(arrays)


BROKEN = {
    "too few cells": lambda arrays: arrays | {"cifar10_test_200": np.zeros(5**6 - 1, np.int32)},
    "fractions": lambda arrays: arrays | {"cifar100_valid_12": np.zeros(5**6)},
    "objects": lambda arrays: arrays | {"classes": np.array([None] * 5**6)},
    "a missing column": lambda arrays: {name: array for name, array in arrays.items() if name != "cifar10_mflops"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_tables(kind, data_folder, read, refused):
    path = data_folder / "mine.npz"
    np.savez(path, **BROKEN[kind](whole(data_folder)))
    with refused(path, "Python objects" if kind == "objects" else "install dnas again"):
        read("table")


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_truncated_table(share, data_folder, read, refused):
    path = table(data_folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with refused(path, "truncated or corrupt", "install dnas again"):
        read("table")


# --- pickles


def tuples(depth: int) -> bytes:
    return b")" + b"\x85" * depth


BOMBS = {
    "steps": (b"]" * 2_000_001 + b".", "steps"),
    "memo": (b"}r\xff\xff\xff\x7f0" + b"}.", ""),
    "deep key": (b"}" + tuples(400_000) + b"Ns.", "no text"),
    "deep keys": (b"}(" + tuples(400_000) + b"Nu.", "no text"),
    "deep key of a dict": (b"(" + tuples(400_000) + b"Nd.", "no text"),
    "set": (b"\x8f(" + tuples(400_000) + b"\x90.", "corrupt"),
    "doubled": (b"]" + b"2(2e" * 100 + b".", "corrupt"),
    "encoded": (
        b"](c_codecs\nencode\nq\0X\0\0\x10\0"
        + b"x" * 2**20
        + b"q\1X\6\0\0\0latin1q\2\x86q\x03R0"
        + b"h\0h\3R" * 5000
        + b"e.",
        "more bytes than it has",
    ),
    "changes a function": (b"cnumpy.core.multiarray\n_reconstruct\n}b.", "no array"),
    "changes a class": (b"cnumpy\nndarray\n}b.", "no array"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_pickles_that_grow(name, refused):
    content, word = BOMBS[name]
    if name == "memo":  # the C machine makes room for 2**31 objects first
        assert unpickle(content, Path("a")) == {}
        return
    with refused("a is truncated or corrupt", word):
        unpickle(content, Path("a"))


def test_lists_in_lists_are_no_labels_and_texts_of_any_length_no_names(refused):
    doubled: object = [0, 0]
    for _ in range(60):
        doubled = [doubled, doubled]
    with refused("no list of whole numbers"):
        images_and_labels({"data": np.zeros((2, 3072), np.uint8), "labels": doubled}, "labels", Path("a"))
    long = b"x" * 10**6
    with refused("no list of 10 names"):
        class_names({"names": [long] * 10}, "names", 10, Path("a"))
    with refused("no list of 10 names"):
        class_names({"names": [long] * 10**6}, "names", 10, Path("a"))


# --- memory


def test_free_memory_is_the_least_that_anything_allows(tmp_path, monkeypatch):
    assert 2**20 < free_memory() < 2**60
    files = {"machine": "MemTotal: 9 kB\nMemAvailable:  5 kB\n", "container": "3000\n", "free": "max\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    bounds = [("machine", r"MemAvailable: *(\d+) kB", 1024), ("container", r"^(\d+)", 1), ("free", r"^(\d+)", 1)]
    for count, expected in ((1, 5120), (2, 3000), (3, 3000)):
        places = tuple((tmp_path / name, pattern, unit) for name, pattern, unit in bounds[:count])
        monkeypatch.setattr("dnas.data._files._MEMORY", (*places, (tmp_path / "none", r"(\d+)", 1)))
        assert free_memory() == expected
    monkeypatch.setattr("dnas.data._files._MEMORY", ())
    check_memory(10**18, "No bound is known and these", "go on")


def test_images_are_not_enlarged_beyond_memory(refused, monkeypatch):
    monkeypatch.setattr("dnas.data._files.free_memory", lambda: 2 * 1797 * 64 * 64)
    digits = load("digits")
    assert tailored(digits, size=64).train_x.shape[1:] == (64, 64, 1)
    monkeypatch.setattr("dnas.data.resized", hangs)
    with refused("digits", "size=65", "free memory", "smaller size"):
        tailored(digits, size=65)


def test_floats_become_bytes_piece_by_piece(monkeypatch):
    floats = np.random.default_rng(0).random((10, 3, 3)).astype(np.float32)
    whole = as_images(floats, "They")
    np.testing.assert_array_equal(whole[..., 0], np.round(floats * 255).astype(np.uint8))
    monkeypatch.setattr("dnas.data._arrays.CHUNK", 3)
    np.testing.assert_array_equal(as_images(floats, "They"), whole)
