"""Your own text: a folder with train.txt, valid.txt and test.txt, as in `text_folder:path=wikitext`.

Words stand between blanks, and the end of a line is a word of its own; or all characters are read,
`text_folder:path=wikitext,tokens=characters`. The vocabulary is that of train.txt: words that only the other parts have
are `<unk>`.
"""

from dnas.data import Location
from dnas.data._files import reading, users_path
from dnas.data._texts import PARTS, Text, from_contents
from dnas.errors import UserError
from dnas.paths import content_of
from dnas.ranges import Limit

MOST_BYTES = 2**31  # of one part


def dataset(*, path: str = "", tokens: str = "words", limit: Limit = 0) -> Text:
    """The three parts. tokens: "words" or "characters". limit: so many train tokens, from the start, with the
    vocabulary of these; 0: all."""
    if not path:
        raise UserError(f"The data set 'text_folder' needs the path of a folder: {_HOW}")
    folder = users_path(path)
    files, contents = {part: folder / f"{part}.txt" for part in PARTS}, {}
    for part, file in files.items():
        with reading(file, _REMEDY):
            contents[part] = content_of(file, MOST_BYTES)
    places = {part: str(file) for part, file in files.items()}
    return from_contents(folder.resolve().name, contents, _REMEDY, limit, tokens, places)


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


_REMEDY = "give a folder with the texts train.txt, valid.txt and test.txt in UTF-8"
_HOW = "write text_folder:path=FOLDER, where FOLDER has the texts train.txt, valid.txt and test.txt."
