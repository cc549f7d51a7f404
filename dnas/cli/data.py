"""`dnas data`."""

import importlib
import os
from dataclasses import dataclass

from dnas import find


@dataclass(frozen=True)
class Data:
    """List the data sets: what they are, where their files are looked for, and how to get them.

    Files are looked for in $DNAS_DATA_DIR, by default in the user's cache folder.
    """


def run(_: Data) -> None:
    """`dnas data`."""
    from dnas.data import data_dir

    print(f"Data folder: {data_dir()} ({'from' if os.environ.get('DNAS_DATA_DIR') else 'set'} $DNAS_DATA_DIR)")
    for name, about in find.described("data set").items():
        location = importlib.import_module(f"{find.PACKAGES['data set']}.{name}").locate()
        print(f"\n{name}\n  {about.line}")
        if location.licence:
            print(f"  licence: {location.licence}")
        if location.found is not None:
            print(f"  here: {'in an installed package' if location.found == 'embedded' else location.found}")
            continue
        if location.searched:
            print(f"  not found at {', '.join(map(str, location.searched))}")
        print(f"  {location.how_to_get}")
