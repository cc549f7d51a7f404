"""Images of a folder that is too large for memory, in batches: read, cropped and mirrored by worker processes.

Training images are cropped at random, 8 to 100 % of the area, sides 3:4 to 4:3, and resized (Szegedy et al. 2015,
arXiv:1409.4842); others are the middle 7/8 of their centre square. What happens to images of one size, RandAugment and
normalisation, is done in the jitted step (`tasks/images.py`). The processes are `grain`'s, an optional package.

What an example is follows from its place in the training and the seed alone, so that a training that is resumed at any
step reads what it would have read, whatever the number of workers. Hosts share every batch: each reads its own rows.
"""

import atexit
import gc
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

import numpy as np

from dnas.data import joined_notes, named
from dnas.data._images import read
from dnas.data.image_folder import files_of, parts_of
from dnas.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

AREA, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10
CENTRE = 7 / 8  # of the centre square, as 224 of 256 pixels
SIDES = 4
READING = WeakSet[Generator]()  # what is being read
GIVEN_BACK = 0.5  # seconds that a thread of grain takes to give shared memory back
THREADS = 2  # of a worker: one decodes while the other reads


class Part(NamedTuple):
    """The files of a part, and their classes int32 [N]."""

    files: tuple[str, ...]
    labels: np.ndarray

    def taken(self, rows: np.ndarray) -> "Part":
        """Some of them, in this order."""
        return Part(tuple(self.files[row] for row in rows), self.labels[rows])


class Host(NamedTuple):
    """Which of so many processes this is."""

    number: int = 0
    hosts: int = 1


@dataclass(frozen=True)
class Folder:
    """A folder of images by class. test: None where it has no such part. note: what was left out of it."""

    classes: tuple[str, ...]
    train: Part
    test: Part | None
    note: str


@dataclass(frozen=True)
class Examples:
    """The examples of one host in the order in which it reads them; a sequence for `grain`.

    size: side of the images. batch: of all hosts together. first: the step that the sequence begins with. steps: how
    many it has. train: in a random order for every epoch, cropped at random; else in their own order. mirrored: whether
    every second crop is. together: steps that belong together, of which an epoch has a whole number.
    """

    part: Part
    size: int
    batch: int
    first: int
    steps: int
    seed: int
    train: bool
    host: Host
    mirrored: bool
    together: int

    @property
    def local(self) -> int:
        """Rows of a batch that this host reads."""
        return self.batch // self.host.hosts

    @property
    def epoch(self) -> int:
        """Steps of one epoch; its last batches are filled from the start of its order."""
        return -(-len(self.part.files) // (self.batch * self.together)) * self.together

    def __len__(self) -> int:
        return self.steps * self.local

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.int32]:
        """uint8 [size, size, 3], and its class. Errors: `UserError` for a file that cannot be read."""
        step = self.first + number // self.local
        epoch, inside = divmod(step, self.epoch)
        place = inside * self.batch + self.host.number * self.local + number % self.local
        count = len(self.part.files)
        row = int(_order(self.seed, epoch, count)[place % count]) if self.train else place % count
        path, label = Path(self.part.files[row]), self.part.labels[row]
        if not self.train:
            return centre(path, self.size), label
        random = np.random.default_rng([self.seed, epoch, place])
        return random_crop(path, self.size, random, self.mirrored), label


def folder(path: Path) -> Folder:
    """What a folder holds, as `image_folder` reads it. Errors: `UserError` where it has no classes."""
    found = parts_of(path)
    train = _part(found.train, found.classes, found.others)
    test = _part(found.test, found.classes, found.others) if found.test else None
    others = [
        named(what, [repr(str(file.relative_to(path))) for file in files]) for what, files in found.others.items()
    ]
    return Folder(found.classes, train, test, joined_notes(*found.notes, *others))


def check_size(size: int) -> None:
    """Errors: `UserError` for a side of images that networks do not divide."""
    if size < SIDES or size % SIDES:
        raise UserError(
            f"A resolution of {size} pixels is not divisible by {SIDES}: choose {max(SIDES, size // SIDES * SIDES)} or "
            f"{max(2, size // SIDES + 1) * SIDES}."
        )


def examples(
    part: Part,
    size: int,
    batch: int,
    *,
    steps: int,
    first: int = 0,
    seed: int = 0,
    train: bool = True,
    host: Host | None = None,
    mirrored: bool = True,
    together: int = 1,
) -> Examples:
    """The examples of `steps` batches from step `first` on. host: by default this process among JAX's.

    Errors: `UserError` for a size that is no multiple of 4, and for a batch that the hosts cannot share.
    """
    if host is None:
        import jax

        host = Host(jax.process_index(), jax.process_count())
    check_size(size)
    if batch % host.hosts:
        raise UserError(f"A batch of {batch} images is no multiple of {host.hosts} hosts: choose another batch size.")
    return Examples(part, size, batch, first, steps, seed % 2**32, train, host, mirrored, together)


def batches(source: Examples, workers: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """uint8 [B, size, size, 3] and int32 [B], B the rows of this host, of all steps that belong together. workers:
    processes; 0: threads of this one.

    Errors: `UserError` without `grain`, and for a file that cannot be read.
    """
    reading = _read(source, workers)
    READING.add(reading)
    return reading


@lru_cache
def _closed_at_exit() -> None:
    """Call it when `grain` is imported: what is registered later is called earlier, before multiprocessing ends the
    processes of whoever stopped in the middle in its own way, which leaves their shared memory."""
    atexit.register(_close)


def _close() -> None:
    open_ones = list(READING)
    for reading in open_ones:
        reading.close()
    if open_ones:
        gc.collect()  # batches that objects hold which hold each other
        time.sleep(GIVEN_BACK)


def _read(source: Examples, workers: int) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    grain, rows = reader(), source.local * source.together
    _closed_at_exit()
    threads = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * rows)
    found = grain.MapDataset.source(_Told(source)).batch(rows, batch_fn=_stacked).to_iter_dataset(threads)
    if workers:
        found = found.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2))
    reading = iter(found)
    try:
        for images, labels, refused in reading:
            if refused:
                raise UserError(refused)
            yield images, labels
    finally:
        reading.close()


class _Told:
    """The examples, and in the place of one that cannot be read the sentence that says so: errors of other processes
    come wrapped."""

    def __init__(self, source: Examples):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, number: Any) -> tuple[Any, Any, str]:
        try:
            return *self.source[int(number)], ""
        except UserError as error:
            blank = np.zeros((self.source.size, self.source.size, 3), np.uint8)
            return blank, np.int32(0), str(error)


def _stacked(rows: Any) -> tuple[np.ndarray, np.ndarray, str]:
    images, labels, refused = zip(*rows, strict=True)
    return np.stack(images), np.array(labels, np.int32), next(filter(None, refused), "")


def random_crop(path: Path, size: int, random: np.random.Generator, mirrored: bool = True) -> np.ndarray:
    """uint8 [size, size, 3]: a random part of a file's image, resized, and if `mirrored` every second time mirrored."""
    areas = random.uniform(*AREA, TRIES)
    ratios = np.exp(random.uniform(np.log(RATIO[0]), np.log(RATIO[1]), TRIES))
    places, turned = random.uniform(size=2), random.uniform() < 0.5

    def least(width: int, height: int) -> tuple[int, int]:
        left, top, right, bottom = _box(width, height, areas, ratios, places)
        scale = size / min(right - left, bottom - top)
        return int(scale * width) + 1, int(scale * height) + 1

    image, _ = read(path, least)
    box = _box(image.width, image.height, areas, ratios, places)
    return _resized(image, box, size, turned and mirrored)


def centre(path: Path, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: the middle 7/8 of the centre square."""
    image, _ = read(path, lambda w, h: (int(size / CENTRE) + 1, int(size / CENTRE) + 1))
    side = CENTRE * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resized(image, (left, top, left + side, top + side), size, False)


def _box(
    width: int, height: int, areas: np.ndarray, ratios: np.ndarray, places: np.ndarray
) -> tuple[float, float, float, float]:
    """The first of the tries that lies inside; if none does, the largest centre that has an allowed ratio."""
    wide, high = np.sqrt(areas * width * height * ratios), np.sqrt(areas * width * height / ratios)
    fits = np.flatnonzero((wide <= width) & (high <= height))
    if len(fits):
        w, h = wide[fits[0]], high[fits[0]]
    else:
        w, h = min(width, height * RATIO[1]), min(height, width / RATIO[0])
        places = np.array([0.5, 0.5])
    left, top = places * (width - w, height - h)
    return left, top, left + w, top + h


def _resized(image: "Image", box: tuple[float, float, float, float], size: int, mirrored: bool) -> np.ndarray:
    from PIL.Image import Resampling

    pixels = np.asarray(image.resize((size, size), Resampling.BILINEAR, box=box))
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def _part(root: Path, classes: tuple[str, ...], others: dict[str, list[Path]]) -> Part:
    files, labels = files_of(root, classes, others)
    return Part(tuple(map(str, files)), labels)


@lru_cache(maxsize=2)  # the end of an epoch and the start of the next
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def reader() -> Any:
    """The package that reads. Errors: `UserError` where it is not installed."""
    try:
        import grain
        from absl import flags
    except ImportError as error:
        raise UserError("Streaming images needs the package grain: pip install dnas[grain].") from error
    if not flags.FLAGS.is_parsed():  # which grain reads; it thinks of programs that begin with absl's main
        flags.FLAGS.mark_as_parsed()
    return grain
