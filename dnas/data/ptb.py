"""Penn Treebank, words: 929,589 train, 73,760 valid and 82,430 test tokens of 10,000 words.

Marcus, Marcinkiewicz and Santorini 1993, with the words of Mikolov et al. 2010: lower case, no punctuation, numbers
are `N`, rare words `<unk>`. One archive `ptb.tar.xz` of ptb/ptb.train.txt, ptb/ptb.valid.txt and ptb/ptb.test.txt.
"""

import io

from dnas.data import Location, data_dir
from dnas.data._archives import inflated_xz, read_tar
from dnas.data._files import of_project, reading, users_path
from dnas.data._texts import PARTS, Text, from_contents
from dnas.errors import UserError
from dnas.paths import content_of
from dnas.ranges import Limit

FILE = "ptb.tar.xz"
MOST_BYTES = 50_000_000  # the three texts have 6 MB


def dataset(*, path: str = "", tokens: str = "words", limit: Limit = 0) -> Text:
    """The official parts. tokens: "words", or "characters" of the same words, one blank between two. path: of the
    archive, or of a folder with ptb.train.txt and the others, where it lies elsewhere. limit: so many train tokens,
    from the start, with the vocabulary of these."""
    source = users_path(path) if path else locate().require("ptb", FILE)
    names = {part: f"ptb.{part}.txt" for part in PARTS}
    if source.is_dir():
        with reading(source, _REMEDY):
            contents = {part: content_of(source / name, MOST_BYTES) for part, name in names.items()}
    else:
        members = {part: f"ptb/{name}" for part, name in names.items()}
        with reading(source, _REMEDY):
            tar = io.BytesIO(inflated_xz(source, MOST_BYTES))
            found = read_tar(tar, members.values(), MOST_BYTES)
        if missing := sorted({*members.values()} - {*found}):
            raise UserError(f"{source} has no {missing[0]}: {_REMEDY}.")
        contents = {part: found[name] for part, name in members.items()}
    if tokens == "characters":  # lines have a blank before and behind
        contents = {part: b"\n".join(map(bytes.strip, text.split(b"\n"))) for part, text in contents.items()}
    return from_contents("ptb", contents, _REMEDY, limit, tokens)


def locate() -> Location:
    how = f"Put the project's {FILE} into {data_dir()}, or give its path, as in ptb:path=FILE."
    return of_project(FILE, "text", how)


_REMEDY = f"get {FILE} again"
