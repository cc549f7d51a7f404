"""Your own texts and their translations, line by line: `parallel_text:source=mine.en,target=mine.de`.

Two files in UTF-8, of which every line of one is the translation of the same line of the other.
"""

from dnas.data import Location
from dnas.data._files import check_memory, reading, users_path
from dnas.data._pairs import Lines, Pairs, of_lines, paired_files
from dnas.errors import UserError
from dnas.paths import content_of
from dnas.ranges import Limit, Seed

MOST_BYTES = 2**31  # of one file
TEXT_BYTES = 4  # of memory for one of a file, while it is read


def dataset(
    *,
    source: str = "",
    target: str = "",
    valid_source: str = "",
    valid_target: str = "",
    test_source: str = "",
    test_target: str = "",
    tokenised: bool = False,
    limit: Limit = 0,
    seed: Seed = 0,
) -> Pairs:
    """source, target: two files to train on; valid_source and the others: files of the same kind; without a test part a
    seeded 20 % of the pairs is one. tokenised: lines are tokens between blanks, of which BLEU is.

    Errors: `UserError` for files of which no pairs can be made; it names file and line.
    """
    asked = {"train": (source, target), "valid": (valid_source, valid_target), "test": (test_source, test_target)}
    parts = {}
    for part, files in asked.items():
        if all(files):
            parts[part] = _of_files(files)
        elif any(files) or part == "train":
            raise UserError(f"The data set 'parallel_text' needs two files for its {part} part: {_HOW}")
    return of_lines("parallel_text", parts, tokenised=tokenised, limit=limit, seed=seed)


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


def _of_files(files: tuple[str, str]) -> Lines:
    paths, contents = [users_path(file) for file in files], []
    for path in paths:
        with reading(path, _REMEDY):
            contents.append(content_of(path, MOST_BYTES))
    check_memory(sum(map(len, contents)) * TEXT_BYTES, f"The texts of {paths[0]} and {paths[1]}", "give fewer")
    return paired_files(contents, [str(path) for path in paths], "save it in UTF-8")


_REMEDY = "give two text files with a text on each line"
_HOW = (
    "write parallel_text:source=FILE,target=FILE, and valid_source, valid_target, test_source and test_target, where "
    "there are such parts, each a text file with a text on each line."
)
