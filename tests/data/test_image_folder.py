"""Folders of images: which folder is which split, what is left out and said, and images of every sort."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnas.data import load
from dnas.data._class_folders import folder_role, is_of_system
from dnas.data._images import SUFFIXES, read_square

RANDOM = np.random.default_rng(0)
CLASSES = {"cat": 3, "dog": 3}


def write_images(folder: Path, counts: dict[str, int], size: tuple[int, int] = (12, 8)) -> None:
    for shade, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (100 * shade, i, 7)).save(folder / name / f"{i}.png")


def of(folder: Path, size: int = 4):
    return load(f"image_folder:path={folder},size={size}")


# --- splits


def test_without_a_test_split_a_fifth_is_held_out(tmp_path):
    write_images(tmp_path / "flat", {"cat": 20, "dog": 10})
    (tmp_path / "flat" / "cat" / ".DS_Store").write_bytes(b"hidden")
    data = of(tmp_path / "flat")
    assert data.name == "flat" and data.classes == ("cat", "dog")
    assert data.note == "no official test split: 20% held out with seed 0"
    assert np.bincount(data.train_y).tolist() == [16, 8] and np.bincount(data.test_y).tolist() == [4, 2]
    assert (data.train_x[..., 0] == 100 * data.train_y[:, None, None]).all()
    assert data.train_x.shape == (24, 4, 4, 3)
    write_images(tmp_path / "only" / "train", {"cat": 5, "dog": 5})
    assert of(tmp_path / "only").classes == ("cat", "dog")


@pytest.mark.parametrize("train", ["train", "Training", ""])
@pytest.mark.parametrize("part", ["test", "TESTING", "val", "Valid", "validation", "dev"])
def test_a_split_by_any_of_its_names(part, train, tmp_path):
    write_images(tmp_path / train, CLASSES)
    write_images(tmp_path / part, {"cat": 1, "dog": 2})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and data.train_x.shape == (6, 4, 4, 3) and data.test_y.tolist() == [0, 1, 1]
    assert data.note == ("" if "test" in part.lower() else f"'{part}' is the test split")


def test_beside_a_test_split_a_validation_split_is_left_out_and_said(tmp_path):
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path / "val", {"cat": 2, "dog": 2})
    write_images(tmp_path / "test", {"cat": 1, "dog": 1})
    data = of(tmp_path)
    assert len(data.test_y) == 2 and len(data.train_y) == 6
    assert data.note == "folders left out: 'val' (validation images are taken from the train images)"


@pytest.mark.parametrize("part", ["test", "Val", "unlabelled", "unlabeled"])
@pytest.mark.parametrize("train", ["train", ""])
def test_images_without_labels_are_no_class(train, part, tmp_path):
    write_images(tmp_path / train, {"cat": 20, "dog": 10})
    write_images(tmp_path, {part: 4})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and len(data.train_y) + len(data.test_y) == 30
    assert f"folders left out: '{part}'" in data.note and "20% held out" in data.note


def test_an_unlabelled_test_split_leaves_its_place_to_the_validation_split(tmp_path):
    write_images(tmp_path, {"cat": 3, "dog": 3, "test": 4})
    write_images(tmp_path / "val", {"cat": 1, "dog": 1})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and len(data.test_y) == 2
    assert data.note == "'val' is the test split; folders left out: 'test' (it has no class folders)"


ROLES = {
    "train": ["train", "TRAIN", "Training Set", "train_images", "trainset", "images-train", "train01"],
    "test": ["test1", "Test Set", "testSet", "test_images", "TestImages", "test-data", "test_2", "hold-out", "Holdout"],
    "validation": ["val_images", "Validation_Set", "valid2", "eval", "dev set"],
    "no class": ["unlabelled", "Unlabeled images", "test_unlabelled", "predict", "Samples", "sample_submission"],
    None: ["cat", "1", "class 1", "test tube", "sets", "images", "data_1", "sunset", "invalid", "trains", "été"],
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in ROLES.items() for name in names])
def test_what_a_folder_is_by_its_name(role, name):
    assert folder_role(name) == role


def test_folders_that_systems_make():
    made = ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "#recycle", "lost+found", "System Volume Information"]
    assert all(map(is_of_system, made)) and not any(map(is_of_system, ["cat", "_cat", "$5", "#1", "@", "lost"]))


@pytest.mark.parametrize("train", ["train_images", ""])
@pytest.mark.parametrize("part", ["test1", "Test Set", "val_images", "eval", "holdout"])
def test_a_split_with_more_in_its_name_is_a_split(part, train, tmp_path):
    write_images(tmp_path / train, CLASSES)
    write_images(tmp_path / part, {"cat": 1, "dog": 2})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and data.test_y.tolist() == [0, 1, 1] and len(data.train_y) == 6


@pytest.mark.parametrize("train", ["train", ""])
@pytest.mark.parametrize("part", ["test1", "Test Set", "val_images", "eval", "predict", "sample", "@eaDir", "__MACOSX"])
def test_what_is_no_class_by_its_name_is_left_out_and_said(part, train, tmp_path):
    write_images(tmp_path / train, {"cat": 20, "dog": 10})
    write_images(tmp_path, {part: 4})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and len(data.train_y) + len(data.test_y) == 30
    assert f"folders left out: '{part}' (" in data.note


def test_folders_of_systems_are_left_out_of_every_split_and_hidden_ones_are_said(tmp_path):
    write_images(tmp_path / "train", CLASSES | {"__MACOSX": 2, ".old": 1})
    write_images(tmp_path / "test", CLASSES | {"@eaDir": 2})
    data = of(tmp_path)
    assert data.classes == ("cat", "dog") and (len(data.train_y), len(data.test_y)) == (6, 6)
    left = "'train/.old' (hidden), 'train/__MACOSX' (a folder of the system), 'test/@eaDir' (a folder of the system)"
    assert data.note == f"folders left out: {left}"


def test_of_several_test_folders_the_one_with_classes_is_the_split(tmp_path):
    write_images(tmp_path, CLASSES | {"test1": 4})
    write_images(tmp_path / "test", {"cat": 1, "dog": 1})
    data = of(tmp_path)
    assert len(data.test_y) == 2 and data.note == "folders left out: 'test1' (it has no class folders)"


def test_classes_that_look_like_something_else_are_never_lost_in_silence(tmp_path, refused):
    write_images(tmp_path, {"sample_1": 3, "sample_2": 3, "cat": 3})
    with refused("1 class folder(s)", "'sample_1'", "'sample_2'"):
        of(tmp_path)
    write_images(tmp_path / "two", {"train1": 3, "train2": 3})
    with refused(tmp_path / "two" / "train1", "no class folder"):
        of(tmp_path / "two")


def test_folders_beside_the_splits_are_said(tmp_path):
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path / "test", {"cat": 1, "dog": 1})
    write_images(tmp_path / "extra", {"cat": 5})
    assert of(tmp_path).note == "folders left out: 'extra'"


def test_trains_are_a_class_where_their_folder_has_no_folders(tmp_path):
    write_images(tmp_path, {"car": 5, "ship": 5, "train": 5})
    assert of(tmp_path).classes == ("car", "ship", "train")


def test_splits_that_cannot_be_told_are_refused(tmp_path, refused):
    write_images(tmp_path / "empty" / "train", CLASSES)
    (tmp_path / "empty" / "test").mkdir()
    with refused(tmp_path / "empty" / "test", "is empty", "remove it"):
        of(tmp_path / "empty")
    (tmp_path / "empty" / "test").rename(tmp_path / "empty" / "val")
    with refused(tmp_path / "empty" / "val", "is empty"):
        of(tmp_path / "empty")
    write_images(tmp_path / "two" / "test", CLASSES)
    write_images(tmp_path / "two" / "Testing", CLASSES)
    with refused("'Testing' and 'test'"):
        of(tmp_path / "two")
    write_images(tmp_path / "bare", {"train": 5})
    with refused(tmp_path / "bare" / "train", "no class folder"):
        of(tmp_path / "bare")


def test_what_is_no_image_of_a_class_is_counted_and_named(tmp_path):
    write_images(tmp_path, {"cat": 20, "dog": 20})
    for stray in ("cat/Thumbs.db", "cat/labels.csv", "dog/readme.txt", "cat/IMG_1.heic", "cat/noname", "licence.txt"):
        (tmp_path / stray).write_bytes(b"no image")
    Image.new("RGB", (4, 4)).save(tmp_path / "loose.png")
    write_images(tmp_path / "dog", {"old": 3})
    (tmp_path / "cat" / "round").symlink_to(tmp_path / "cat")
    (tmp_path / "dog" / "itself").symlink_to(tmp_path / "dog" / "itself")
    data = of(tmp_path)
    assert len(data.train_y) + len(data.test_y) == 40
    assert "left out, files in no class: 'licence.txt', 'loose.png'" in data.note
    assert "left out, folders inside a class: 'cat/round', 'dog/old'" in data.note
    assert "left out, no images by their names: 'cat/IMG_1.heic', 'cat/Thumbs.db'" in data.note
    assert "and 1 more" in data.note


def test_reads_only_what_the_limit_keeps(tmp_path):
    write_images(tmp_path, {"cat": 20, "dog": 20})
    data = load(f"image_folder:path={tmp_path},limit=10")
    assert np.bincount(data.train_y).tolist() == [5, 5] and len(data.test_x) == 2
    assert "only 10 of 32" in data.note


def test_unfit_image_folders(tmp_path, refused):
    with refused("image_folder:path=FOLDER"):
        load("image_folder")
    with refused(tmp_path / "none", "No such file"):
        of(tmp_path / "none")
    with refused("~nobody_of_this_name", "No such file"):
        load("image_folder:path=~nobody_of_this_name")
    with refused("at least 1"):
        of(tmp_path, size=0)
    with refused(tmp_path, "0 class folder(s)"):
        of(tmp_path)
    write_images(tmp_path / "train", {"cat": 2, "dog": 2})
    write_images(tmp_path / "test", {"cat": 2, "eel": 2})
    with refused("eel", tmp_path / "test"):
        of(tmp_path)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    write_images(tmp_path / "empty", {"dog": 2})
    with refused(tmp_path / "empty" / "cat", "no image:"):
        of(tmp_path / "empty")
    (tmp_path / "empty" / "cat" / "list.txt").write_text("no image")
    with refused(tmp_path / "empty" / "cat", "no image, but 'list.txt'"):
        of(tmp_path / "empty")


def test_more_pixels_than_memory_are_refused_before_any_is_read(tmp_path, refused, monkeypatch):
    write_images(tmp_path, {"cat": 20, "dog": 20})
    monkeypatch.setattr("dnas.data._files.free_memory", lambda: 40 * 8 * 8 * 3)
    with refused("40 images of 8x8", "free memory", "smaller size"):
        of(tmp_path, size=8)


# --- images


def square(path: Path, size: int = 4) -> tuple[list[int], set[str]]:
    """The one colour of an image, and what was remarked."""
    image, remarks = read_square(path, size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8 and (image == image[0, 0]).all()
    return image[0, 0].tolist(), remarks


def test_the_centre_square(tmp_path):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).resize((80, 240), 0).save(tmp_path / "tall.bmp")
    assert square(tmp_path / "wide.png") == square(tmp_path / "tall.bmp") == ([255] * 3, set())


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".mpo"}))
def test_every_format_by_its_name(suffix, tmp_path):
    mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
    Image.new(mode, (16, 16), 1 if mode == "1" else "red" if mode == "RGB" else 255).save(tmp_path / f"a{suffix}")
    colour, remarks = square(tmp_path / f"a{suffix}")
    assert np.abs(np.subtract(colour, [255, 0, 0] if mode == "RGB" else [255] * 3)).max() < 8 and not remarks


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "CMYK", "LA", "RGBA", "LAB"])
def test_every_kind_of_colour(mode, tmp_path):
    suffix = "tif" if mode in ("YCbCr", "CMYK", "LAB") else "png"
    Image.new("RGB", (8, 8), (255, 255, 255)).convert("L" if mode == "LA" else "RGB").convert(mode).save(
        tmp_path / f"a.{suffix}"
    )
    colour, remarks = square(tmp_path / f"a.{suffix}")
    assert min(colour) > 250 and [remark.split()[2] for remark in remarks] == (["CMYK,"] if mode == "CMYK" else [])


TURNS = {1: "TL", 2: "TR", 3: "BR", 4: "BL", 5: "TL", 6: "TR", 7: "BR", 8: "BL"}  # where the stored corner is seen


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_images_are_turned_as_the_camera_was_held(orientation, suffix, tmp_path):
    stored = np.zeros((64, 64, 3), np.uint8)
    stored[:32, :32] = 255  # its corner at the top left
    stored[:32, 32:] = 128  # grey beside it, in the same row
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    image, remarks = read_square(tmp_path / f"a.{suffix}", 2)
    corner = np.argwhere(image[..., 0] > 200).tolist()
    assert corner == [[int("B" in TURNS[orientation]), int("R" in TURNS[orientation])]]
    row, column = corner[0]
    beside = image[1 - row, column, 0] if orientation > 4 else image[row, 1 - column, 0]
    assert 100 < beside < 160, "the image is transposed, or is not"
    assert len(remarks) == (orientation > 1)


def test_exif_data_that_cannot_be_read_turn_nothing(tmp_path, recwarn):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\xff\xff\xff")
    colour, remarks = square(tmp_path / "a.jpg")
    assert colour[0] > 240 and not remarks and not recwarn.list


def transparent(kind: str) -> tuple[Image.Image, dict]:
    """A black image that is transparent all over, in every way of saying so."""
    black = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    if kind == "RGBA":
        return black, {}
    if kind == "LA":
        return black.convert("LA"), {}
    if kind == "PA":
        return Image.new("P", (8, 8), 0), {"transparency": bytes([0])}
    if kind == "I;16":
        return Image.fromarray(np.full((8, 8), 77, np.uint16)), {"transparency": 77}
    return Image.new(kind, (8, 8), 0), {"transparency": (0, 0, 0) if kind == "RGB" else 0}


@pytest.mark.parametrize("kind", ["RGBA", "LA", "PA", "P", "L", "RGB", "1", "I;16"])
def test_what_is_transparent_is_white_and_said(kind, tmp_path):
    image, options = transparent(kind)
    image.save(tmp_path / "a.png", **options)
    colour, remarks = square(tmp_path / "a.png")
    assert colour == [255] * 3 and len(remarks) == 1


def test_half_transparent_is_half_white_and_opaque_is_not_said(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert abs(square(tmp_path / "half.png")[0][0] - 127) <= 1
    Image.new("RGBA", (8, 8), (9, 9, 9, 255)).save(tmp_path / "opaque.png")
    assert square(tmp_path / "opaque.png") == ([9] * 3, set())
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.webp", lossless=True, exact=True)
    assert square(tmp_path / "a.webp")[0] == [255] * 3


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_sixteen_bits_become_eight_and_it_is_said(suffix, tmp_path):
    Image.fromarray(np.full((8, 8), 257 * 100, np.uint16)).save(tmp_path / f"a.{suffix}")
    colour, remarks = square(tmp_path / f"a.{suffix}")
    assert colour == [100] * 3 and "8 bits" in remarks.pop()


def test_twelve_bits_have_a_white_of_their_own(tmp_path):
    tags = {256: 8, 257: 8, 258: 12, 259: 1, 262: 1, 273: 200, 277: 1, 278: 8, 279: 96}
    head = b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little")
    entries = [t.to_bytes(2, "little") + b"\4\0\1\0\0\0" + v.to_bytes(4, "little") for t, v in tags.items()]
    (tmp_path / "a.tif").write_bytes((head + b"".join(entries) + bytes(4)).ljust(200, b"\0") + b"\xff" * 96)
    assert square(tmp_path / "a.tif")[0] == [255] * 3


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_white_are_refused(kind, tmp_path, refused):
    write_images(tmp_path, {"cat": 2, "dog": 2})
    deep = tmp_path / "cat" / "deep.tif"
    Image.fromarray(np.full((8, 8), 1, kind)).save(deep)
    with refused(deep, "32 bits per channel", "8 or 16 bits"):
        of(tmp_path)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_several_images_the_first_is_read_and_it_is_said(suffix, tmp_path):
    first, second = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second])
    colour, remarks = square(tmp_path / f"a.{suffix}")
    assert min(colour) > 250 and "the first was read" in remarks.pop()


def test_the_note_counts_what_was_done_to_images(tmp_path):
    write_images(tmp_path, {"cat": 4, "dog": 4})
    for i in range(3):
        Image.new("RGBA", (8, 8)).save(tmp_path / "cat" / f"clear_{i}.png")
    assert of(tmp_path).note.endswith("images with transparent parts, laid on white: 3")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp"])
@pytest.mark.parametrize("keep", [0, 10, -300])
def test_unreadable_images_are_named(suffix, keep, tmp_path, refused):
    write_images(tmp_path, {"cat": 2, "dog": 2})
    broken = tmp_path / "cat" / f"broken.{suffix}"
    Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[:keep])
    with refused(broken, "replace or remove"):
        of(tmp_path)


def test_other_formats_are_not_opened_under_the_name_of_an_image(tmp_path, refused):
    write_images(tmp_path, {"cat": 2, "dog": 2})
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "a.eps")
    os.rename(tmp_path / "cat" / "a.eps", tmp_path / "cat" / "a.png")  # Pillow would run a program to read it
    with refused("a.png", "no image in a known format"):
        of(tmp_path)


@pytest.mark.parametrize("most", [10, 60])  # Pillow refuses more than twice as many pixels, and warns of more
def test_images_of_too_many_pixels_are_refused(most, tmp_path, refused, monkeypatch):
    write_images(tmp_path, {"cat": 2, "dog": 2}, size=(12, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with refused("0.png", "too large"):
        of(tmp_path)


def test_a_photograph_is_measured_as_it_is_decoded(tmp_path, monkeypatch, recwarn):
    Image.new("RGB", (256, 256), "white").save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200 * 200)
    assert square(tmp_path / "a.jpg", 16)[0] == [255] * 3 and not recwarn.list
