"""SST-5, sentences of film reviews in five grades: 8,544 train, 1,101 validation and 2,210 test sentences.

Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank", EMNLP 2013; whole
sentences only, as in Kim 2014, arXiv:1408.5882. Lower case, words and signs between blanks.
"""

from dnas.data import Location
from dnas.data import _sentences as sentences
from dnas.ranges import Limit

MEMBERS = {part: f"sst_harvardnlp/stsa.fine.{name}" for part, name in sentences.STANFORD.items()}
GRADES = ("very negative", "negative", "neutral", "positive", "very positive")


def dataset(*, limit: Limit = 0) -> sentences.Sentences:
    """The official parts."""
    return sentences.official("sst5", MEMBERS, dict(zip("01234", GRADES, strict=True)), limit=limit)


def locate() -> Location:
    return sentences.locate()
