"""One image file as a square of 8-bit RGB, upright and opaque, and remarks on what had to be done to it."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnas.data._files import CONTENT_ERRORS, reading
from dnas.errors import UserError
from dnas.paths import opened

if TYPE_CHECKING:
    from PIL.Image import Image

REMEDY = "replace or remove this image"
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".ico", ".pcx", ".qoi", ".tga"),
}
# What Pillow decodes by itself; for some other formats it runs programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "PCX", "QOI", "TGA")

UPRIGHT = "images turned upright, as their EXIF data say"
OPAQUE = "images with transparent parts, laid on white"
EIGHT_BITS = "images of more than 8 bits per channel, reduced to 8"
FROM_CMYK = "images in CMYK, made RGB without a colour profile"
FIRST = "files of several images, of which the first was read"

ORIENTATION, BITS = 274, 258  # tags of EXIF and TIFF


def read_square(path: Path, size: int) -> tuple[np.ndarray, set[str]]:
    """The centre square of a file's image, resized by area, as uint8 [size, size, 3]; and remarks.

    Errors: as of `read`.
    """
    from PIL import Image, ImageOps

    plain, remarks = read(path, lambda width, height: (2 * size, 2 * size))
    return np.asarray(ImageOps.fit(plain, (size, size), Image.Resampling.BOX)), remarks


def read(path: Path, least: Callable[[int, int], tuple[int, int]]) -> tuple["Image", set[str]]:
    """A file's image, and remarks. least: (width, height) -> the width and height that are enough, to which a large
    JPEG need not be reduced, only nearly.

    Errors: `UserError` for a file that is no image, or broken, or too large, or of colours that cannot be told.
    """
    from PIL import Image

    remarks = set[str]()
    try:
        with reading(path, REMEDY), opened(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are refused below, and of EXIF data
            with open_image(file) as image:
                if getattr(image, "is_animated", False):
                    remarks.add(FIRST)
                image.draft("RGB", least(*image.size))  # a large JPEG is decoded at a fraction of its size
                if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
                    raise Image.DecompressionBombError
                return _plain(_upright(image, remarks), image, path, remarks), remarks
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} is too large an image to be safe: {REMEDY}.") from error


def open_image(file: Any, formats: tuple[str, ...] = FORMATS) -> "Image":
    """An image whose pixels are not decoded yet. Errors: `ValueError` if it is in none of these formats of Pillow."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    try:
        return Image.open(file, formats=[name for name in formats if name in Image.OPEN])
    except UnidentifiedImageError:  # whose text names a Python object
        raise ValueError("no image in a known format") from None


def _upright(image: "Image", remarks: set[str]) -> "Image":
    """Decoded, and turned as the camera was held."""
    from PIL.Image import Transpose

    turns: dict[Any, Transpose] = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    if image.format == "TIFF" and image.tag_v2.get(ORIENTATION) in turns:  # type: ignore[attr-defined]
        remarks.add(UPRIGHT)  # Pillow turns it when it decodes it
    image.load()
    turn = None
    with suppress(*CONTENT_ERRORS):  # EXIF data that cannot be read say nothing; the image itself is sound
        turn = turns.get(image.getexif().get(ORIENTATION))
    if turn is None:
        return image
    remarks.add(UPRIGHT)
    return image.transpose(turn)


def _plain(image: "Image", source: "Image", path: Path, remarks: set[str]) -> "Image":
    """8 bits of RGB, whatever the colours were; `source` knows more of them."""
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and source.format in ("PNG", "PPM")):
        remarks.add(EIGHT_BITS)
        bits = source.tag_v2.get(BITS, (16,))[0] if source.format == "TIFF" else 16  # type: ignore[attr-defined]
        grey, white = np.asarray(image).astype(np.float32), 2**bits - 1
        grey[grey == image.info.get("transparency")] = white
        return Image.fromarray(np.round(grey * (255 / white)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise UserError(
            f"{path} has 32 bits per channel, and no rule says which number is white: save it with 8 or 16 bits per "
            "channel, or remove it."
        )
    if image.mode == "CMYK":
        remarks.add(FROM_CMYK)
    try:
        if not _may_be_transparent(image):
            return image.convert("RGB")
        layer = image.convert("RGBA")
    except ValueError as error:
        raise UserError(f"{path} has colours of the sort {image.mode}, which are not read: save it as RGB.") from error
    if layer.getchannel("A").getextrema() != (255, 255):
        remarks.add(OPAQUE)
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _may_be_transparent(image: "Image") -> bool:
    bands, palette = image.getbands(), image.palette
    return "transparency" in image.info or bands[-1] in ("A", "a") or (palette is not None and "A" in palette.mode)
