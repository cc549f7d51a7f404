"""Packed files, read within bounds: .npz, .tar, .gz, .xz. What a header promises is checked against what is there, and
the free memory, before anything is inflated; what nobody asked for is not inflated, or counted where it has to be.
"""

import gzip
import io
import lzma
import math
import os
import tarfile
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas.data._files import check_memory, reading
from dnas.errors import UserError
from dnas.paths import content_of, opened

BOMB_BYTES, BOMB_RATIO = 2**30, 200  # more bytes than this, and more for each byte on file: no data, but a bomb
MOST_MEMBERS = 10_000  # of a tar
HEADER_BYTES = 2**14  # more than numpy's longest .npy header that it deems safe
XZ_MEMORY = 2**27  # bytes that a decoder may take, enough for xz -9; a header can ask for 4 GB
CHUNK = 2**24  # bytes inflated at once


def read_npz(
    path: Path, names: Sequence[str], optional: Sequence[str] = (), remedy: str = ""
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The named arrays of an .npz, and the names of all others, which are left as they are. No pickle is read.

    Errors: `UserError`: a missing array, a bad file, or arrays that inflate to more than the free memory can take.
    """
    remedy = remedy or "give an .npz written by numpy.savez"
    with reading(path, remedy), opened(path) as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise ValueError("a single .npy array")
        with zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in names:
                if name not in members:
                    has = ", ".join(list(members)[:10]) or "none"
                    raise UserError(f"{path} has no array '{name}' (it has: {has}): {remedy}.")
            wanted = [name for name in (*names, *optional) if name in members]
            headers = {name: _header(archive, members[name], f"{path} has an array '{name}'") for name in wanted}
            _check_total(path, sum(header.size for header in headers.values()), os.fstat(file.fileno()).st_size)
            arrays = {name: _array(archive, members[name], headers[name]) for name in wanted}
            return arrays, [name for name in members if name not in arrays]


def read_tar(stream: io.BufferedIOBase, names: Collection[str], most: int) -> dict[str, bytes]:
    """Those of the named members of a tar that are regular files; it is read from the start to the last of them.

    most: how many bytes all the members on the way may have. Errors: `ValueError` for more, `tarfile.TarError`.
    """
    contents: dict[str, bytes] = {}
    # As a stream: a member of a negative size sends a reader that can go back round in circles.
    with tarfile.open(fileobj=_Bounded(stream, most), mode="r|") as archive:  # type: ignore[call-overload]
        for number, member in enumerate(archive):
            name = member.name.removeprefix("./")
            if number == MOST_MEMBERS:
                raise ValueError(f"it has more than {MOST_MEMBERS:,} members")
            if name in names and member.isfile():
                if not 0 <= member.size <= most:  # that of a sparse member need not be on file
                    raise ValueError(f"its member '{name}' has {member.size:,} bytes")
                contents[name] = archive.extractfile(member).read()
            if len(contents) == len(names):
                break
    return contents


def inflated(path: Path, most: int) -> bytes:
    """The content of a .gz file of at most `most` bytes. Errors: `ValueError` if it has more; those of `opened`."""
    with opened(path, most) as packed, gzip.open(packed) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it inflates to more than {most:,} bytes")
    return content


def inflated_xz(path: Path, most: int) -> bytes:
    """The content of an .xz file of at most `most` bytes. Errors: `ValueError`, `EOFError`, `lzma.LZMAError`; those of
    `opened`."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    content = decompressor.decompress(content_of(path, most), most + 1)
    if len(content) > most:
        raise ValueError(f"it inflates to more than {most:,} bytes")
    if not decompressor.eof:
        raise EOFError
    if decompressor.unused_data.strip(b"\0"):
        raise ValueError("something follows after its end")
    return content


class _Bounded:
    """What tarfile reads from: the bytes of a file, refused after `most` of them."""

    def __init__(self, file: io.BufferedIOBase, most: int) -> None:
        self.file, self.most, self.done = file, most, 0

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.done += len(data)
        if self.done > self.most:
            raise ValueError(f"it inflates to more than {self.most:,} bytes")
        return data


class _Header(NamedTuple):
    """What the header of an .npy promises; it begins at byte `start`."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    start: int
    size: int


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> _Header:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others inflate without a bound
        raise ValueError(f"its member '{member.filename}' is packed in a way that numpy does not write")
    with archive.open(member) as file:
        head = io.BytesIO(file.read(HEADER_BYTES))
    version = np.lib.format.read_magic(head)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(head)
    if dtype.hasobject:
        raise UserError(f"{what} of Python objects, which could run anything when read: save it as numbers or texts.")
    size, held = math.prod(shape) * max(dtype.itemsize, 1), member.file_size - head.tell()
    if size != held or min(shape, default=0) < 0:
        raise ValueError(f"its member '{member.filename}' promises {size:,} bytes and has {held:,}")
    return _Header(shape, fortran_order, dtype, head.tell(), size)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header) -> np.ndarray:
    content = np.empty(header.size, np.uint8)
    with archive.open(member) as file:
        file.read(header.start)
        for start in range(0, header.size, CHUNK):
            chunk = file.read(min(CHUNK, header.size - start))
            content[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
            if len(chunk) < min(CHUNK, header.size - start):
                raise EOFError(f"its member '{member.filename}' is shorter than it promises")
    return np.ndarray(header.shape, header.dtype, content.data, order="F" if header.fortran_order else "C")


def _check_total(path: Path, size: int, size_on_file: int) -> None:
    check_memory(size, f"The arrays of {path}", "give fewer or smaller images")
    if size > max(BOMB_BYTES, BOMB_RATIO * size_on_file):
        raise UserError(
            f"The arrays of {path} inflate from {size_on_file / 1e6:.1f} MB to {size / 1e9:.1f} GB, as no images do: "
            "if they are meant, write them with numpy.savez, without compression."
        )
