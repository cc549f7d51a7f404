"""Free Spoken Digit Dataset: 3,000 recordings of ten spoken digits by six speakers, 8,000 Hz; no paper.

Jackson and others, github.com/Jakobovski/free-spoken-digit-dataset. Every speaker says every digit 50 times. The first
five of these are the official test part; `by=speaker` tests on speakers that no network has heard in training instead.
"""

import io
from dataclasses import replace
from functools import partial
from typing import Annotated

from dnas.data import Location
from dnas.data import _audio as audio
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import of_project, reading
from dnas.data._sounds import read
from dnas.errors import UserError, unknown
from dnas.ranges import Limit, beside

FILE = "fsdd.tar.xz"
MOST_BYTES = 100_000_000  # of all that is in it
SAMPLE_RATE = 8_000
DIGITS = tuple("0123456789")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES, TEST_TAKES = 50, 5
WAYS = ("recording", "speaker")
REMEDY = f"get {FILE} again"


def dataset(
    *, by: str = "recording", speaker: Annotated[str, beside(by="speaker")] = "theo", limit: Limit = 0
) -> audio.Recordings:
    """by: what of a digit is in the test part: "recording", five of each speaker; "speaker", all of some speakers,
    theo or theo+lucas say, and none of them in the train part."""
    if by not in WAYS:
        raise unknown("value of setting 'by' of data set 'spoken_digits':", by, WAYS)
    unheard = speaker.split("+")
    for name in unheard:
        if name not in SPEAKERS:
            raise unknown("speaker of data set 'spoken_digits':", name, SPEAKERS)
    if len({*unheard}) != len(unheard) or len(unheard) == len(SPEAKERS):
        raise UserError(
            f"The speakers '{speaker}' of data set 'spoken_digits' must be different ones, and not all: leave one out."
        )
    source = locate().require("spoken_digits", FILE)
    keys = [(digit, name, take) for digit in DIGITS for name in SPEAKERS for take in range(TAKES)]
    paths = {(digit, name, take): f"recordings/{digit}_{name}_{take}.wav" for digit, name, take in keys}
    with reading(source, REMEDY):
        contents = read_tar(io.BytesIO(inflated_xz(source, MOST_BYTES)), {*paths.values()}, MOST_BYTES)
    rows: dict[str, list[audio.Row]] = {"train": [], "test": []}
    for (digit, name, take), path in paths.items():
        if path not in contents:
            raise UserError(f"{source} has no {path}: {REMEDY}.")
        tested = name in unheard if by == "speaker" else take < TEST_TAKES
        place = f"{path} of {source}"
        row = audio.Row(partial(read, contents[path], place, SAMPLE_RATE), digit, place)
        rows["test" if tested else "train"].append(row)
    note = f"tested on speakers that are not trained on: {', '.join(unheard)}" if by == "speaker" else ""
    return audio.of_rows("spoken_digits", rows, SAMPLE_RATE, limit=limit, note=note)


def locate() -> Location:
    return replace(of_project(FILE, "speech"), licence="CC BY-SA 4.0, Jackson and others")
