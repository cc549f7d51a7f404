"""SST-2, sentences of film reviews, positive or negative: 6,920 train, 872 validation and 1,821 test sentences.

Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank", EMNLP 2013; whole
sentences only, without neutral ones, as in Kim 2014, arXiv:1408.5882. Lower case, words and signs between blanks.
"""

from dnas.data import Location
from dnas.data import _sentences as sentences
from dnas.ranges import Limit

MEMBERS = {part: f"sst_harvardnlp/stsa.binary.{name}" for part, name in sentences.STANFORD.items()}


def dataset(*, limit: Limit = 0) -> sentences.Sentences:
    """The official parts."""
    return sentences.official("sst2", MEMBERS, {"0": "negative", "1": "positive"}, limit=limit)


def locate() -> Location:
    return sentences.locate()
