"""TREC, questions by what they ask for, in six classes: 5,452 train and 500 test questions.

Li and Roth, "Learning Question Classifiers", COLING 2002. There is no official validation part.
"""

from dnas.data import Location
from dnas.data import _sentences as sentences
from dnas.ranges import Limit

MEMBERS = {"train": "trec/TREC.train", "test": "trec/TREC.test"}
ASKED = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "human",
    "LOC": "location",
    "NUM": "number",
}


def dataset(*, limit: Limit = 0) -> sentences.Sentences:
    """The official parts."""
    return sentences.official("trec", MEMBERS, ASKED, encoding="latin-1", limit=limit)


def locate() -> Location:
    return sentences.locate()
