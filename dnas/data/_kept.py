"""What took a while to make, kept in the data folder under a checksum of what it was made of.

What is made of other contents has another name, so a file that has changed is seen; all of it may be removed at any
time. What is longest unused is removed when the folder grows beyond `MOST_BYTES`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np

from dnas.data._archives import read_npz
from dnas.data._files import data_dir, write_atomically
from dnas.errors import UserError
from dnas.files import warn
from dnas.paths import make_room

FOLDER, MOST_BYTES = "kept", 2 * 2**30


def kept(
    what: str, made_of: Iterable[str | bytes], make: Callable[[], dict[str, np.ndarray]], names: tuple[str, ...]
) -> dict:
    """The arrays of these names, as they were kept or made now. what: words for them."""
    digest = hashlib.sha256()
    for one in made_of:
        content = one.encode(errors="surrogatepass") if isinstance(one, str) else one
        digest.update(b"%d " % len(content) + content)
    folder = data_dir() / FOLDER
    file = folder / f"{what.replace(' ', '_')}_{digest.hexdigest()[:32]}.npz"
    with suppress(UserError):  # there is none, or it is damaged
        arrays = read_npz(file, names)[0]
        with suppress(OSError):  # a folder of others
            os.utime(file)  # so that it is not the longest unused one
        return arrays
    arrays = make()
    try:
        write_atomically(file, lambda stream: np.savez(stream, allow_pickle=False, **arrays))
    except OSError as error:
        warn(
            f"cannot keep {what} at {file} ({error.strerror or error}), so every run makes them again: let "
            "DNAS_DATA_DIR be a folder with space that you may write to."
        )
        return arrays
    with suppress(OSError):  # another process made room, and it is gone already
        make_room(folder, max(MOST_BYTES, file.stat().st_size))
    return arrays
