"""What took a while to make, kept in the data folder under a checksum of what it was made of.

What is made of other contents has another name, so a file that has changed is seen; all of it may be removed at any
time.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np

from dnas.data._archives import read_npz
from dnas.data._files import data_dir, write_atomically
from dnas.errors import UserError
from dnas.files import warn

FOLDER = "kept"


def kept(what: str, made_of: Iterable[str], make: Callable[[], dict[str, np.ndarray]], names: tuple[str, ...]) -> dict:
    """The arrays of these names, as they were kept or made now. what: a word for them."""
    digest = hashlib.sha256()
    for text in made_of:
        content = text.encode(errors="surrogatepass")
        digest.update(b"%d " % len(content) + content)
    file = data_dir() / FOLDER / f"{what}_{digest.hexdigest()[:32]}.npz"
    with suppress(UserError):  # there is none, or it is damaged
        return read_npz(file, names)[0]
    arrays = make()
    try:
        write_atomically(file, lambda stream: np.savez(stream, allow_pickle=False, **arrays))
    except OSError as error:
        warn(
            f"cannot keep {what} at {file} ({error.strerror or error}), so every run makes them again: let "
            "DNAS_DATA_DIR be a folder with space that you may write to."
        )
    return arrays
