"""Proxies as evaluators of black-box search."""

import numpy as np
import pytest

from dnas import find
from dnas.architectures.choices import decode
from dnas.architectures.topology import NetworkSize
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.errors import UserError
from dnas.nets.count import count

SMALL = "space=nasbench201:nodes=2,data=digits,images=4,cells=1,channels=2"


def test_a_search_by_a_proxy_finds_the_architecture_with_the_highest_score():
    """One edge, five operations: the 3x3 convolution has the most weights."""
    config = BlackboxConfig("random_search", f"proxy:proxy=params,{SMALL}", "params", "20evaluations", runs=1)
    result = blackbox.run(config)
    assert [edge.operation for edge in result.found[0].cell("cell").edges] == ["nor_conv_3x3"]


@pytest.mark.slow
def test_votes_are_shares_of_random_architectures_and_scores_repeat():
    evaluator = find.resolve("evaluator", f"proxy:proxy=l2_norm+params,voters=6,{SMALL}")
    assert list(evaluator.measures) == ["votes", "l2_norm", "params", "parameters", "mflops"]
    values = [evaluator.evaluate(np.array([operation]), 1.0, 3)[0] for operation in (0, 3, 3)]
    assert values[1] == values[2]
    assert values[0]["votes"] < values[1]["votes"] <= 1
    known = count(decode(np.array([3]), evaluator.space), evaluator.space, NetworkSize(1, 2, 10, 1), 8)
    assert values[1]["parameters"] == values[1]["params"] == known.parameters
    assert values[1]["mflops"] == pytest.approx(known.multiply_adds / 1e6)


def test_a_score_computes_a_pass_of_its_images():
    """Through the dearest operation of the edge; the codes of the images are compared, too."""
    known = find.resolve("evaluator", f"proxy:proxy=nwot,{SMALL}")
    once = count(decode(np.array([3]), known.space), known.space, NetworkSize(1, 2, 10, 1), 8).multiply_adds
    (found,) = known.multiply_adds(np.array([[0]]), np.ones(1))
    assert 4 * once <= found < 6 * once


@pytest.mark.parametrize(
    "choice, words",
    [
        ("proxy:proxy=nwott", "Unknown proxy 'nwott'"),
        ("proxy:proxy=nwot+nwot", "name one twice"),
        ("proxy:space=rnn", "Proxies score networks of images, and those of 'rnn' read tokens"),
        ("proxy:space=robust:name=s4,data=digits", "Proxies score networks that draw nothing"),
        ("proxy:data=wine", "Split is a data set"),
    ],
)
def test_what_cannot_be_scored_is_refused(choice, words):
    with pytest.raises(UserError, match=words):
        find.resolve("evaluator", choice)
