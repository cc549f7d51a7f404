"""The derived DARTS network with the ImageNet stem."""

from collections.abc import Iterator

from oracles import darts_cnn_eval
from oracles.common import Comparison, Oracle


def compare(oracle: Oracle) -> Iterator[Comparison]:
    yield from darts_cnn_eval.compare(oracle, stem="imagenet")
