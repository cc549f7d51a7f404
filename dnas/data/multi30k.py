"""Multi30k, captions of photographs in English and German: 29,000 train, 1,014 validation and 1,000 test pairs.

Elliott, Frank, Sima'an and Specia, "Multi30K: Multilingual English-German Image Descriptions", Workshop on Vision and
Language 2016, arXiv:1605.00459. Lower case, normalised, and cut into tokens between blanks, as it is distributed; signs
that are written as XML entities there are signs here. One archive `multi30k.tar.xz`.
"""

import html
import io

from dnas.data import Location
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import decoded, of_project, reading
from dnas.data._pairs import Pairs, of_lines, paired
from dnas.errors import UserError, unknown
from dnas.ranges import Limit

FILE = "multi30k.tar.xz"
MOST_BYTES = 50_000_000  # of all that is in it
DIRECTIONS = ("en-de", "de-en")
TESTS = ("2016_flickr", "2017_flickr", "2017_mscoco", "2018_flickr")
NOTE = "texts in lower case and cut into tokens, and BLEU is of these tokens"


def dataset(*, direction: str = "en-de", test: str = "2016_flickr", limit: Limit = 0) -> Pairs:
    """The official parts. direction: en-de or de-en. test: 2016_flickr, 2017_flickr, 2017_mscoco or 2018_flickr."""
    if direction not in DIRECTIONS:
        raise unknown("direction of 'multi30k':", direction, DIRECTIONS)
    if test not in TESTS:
        raise unknown("test part of 'multi30k':", test, TESTS)
    source, remedy = locate().require("multi30k", FILE), f"get {FILE} again"
    names = {"train": "train", "valid": "val", "test": f"test_{test}"}
    members = {
        part: [f"multi30k/{name}.lc.norm.tok.{language}" for language in direction.split("-")]
        for part, name in names.items()
    }
    wanted = [member for pair in members.values() for member in pair]
    with reading(source, remedy):
        found = read_tar(io.BytesIO(inflated_xz(source, MOST_BYTES)), wanted, MOST_BYTES)
    if missing := sorted({*wanted} - {*found}):
        raise UserError(f"{source} has no {missing[0]}: {remedy}.")
    parts = {}
    for part, pair in members.items():
        first, second = (html.unescape(decoded(found[member], f"{member} of {source}", remedy)) for member in pair)
        parts[part] = paired(first, second, pair)
    return of_lines("multi30k", parts, note=NOTE, tokenised=True, limit=limit)


def locate() -> Location:
    """Where the project's archive lies."""
    return of_project(FILE, "text")
