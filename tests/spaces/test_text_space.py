"""The space 'text': its presets, texts, pictures, counts, and what its networks cost."""

import jax
import numpy as np
import pytest

from dnas import cli, find
from dnas.architectures import encoding, flow
from dnas.architectures.genotype import check, from_json, parse, random, to_json, to_text
from dnas.architectures.genotype_data import decisions
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets import count
from dnas.nets.functional import functionalize
from dnas.nets.network import build
from dnas.nets.sentence_ops import SENTENCE_OPERATIONS
from dnas.reports import diagram
from dnas.spaces import text

SIZE = NetworkSize(1, 8, 3, inputs=(5,), vocabulary=11)


def test_presets():
    published = text.space()
    assert published.mix_shapes == {"operation": (24, 10), "input": (24, 5)}
    assert published.cells["operation"].operations[0] == tuple(SENTENCE_OPERATIONS)
    assert published.draws and published.readable == ("tokens", "frames")
    tiny = find.resolve("space", "text:size=tiny,operations=gru+conv_3,embedded=0,dropout=0")
    assert tiny.mix_shapes == {"operation": (2, 2), "input": (2, 2)} and not tiny.draws
    assert text.space(size="small", layers=3, inputs=1).mix_shapes == {"operation": (3, 10), "input": (3, 1)}
    assert encoding.count(tiny) == 4 * 4
    for choice, says in (
        ("text:size=huge", "Unknown size of space 'text'"),
        ("text:operations=none", "Nothing flows"),
        ("text:operations=gru+gru", "stands twice"),
        ("text:operations=gr", "Did you mean"),
    ):
        with pytest.raises(UserError, match=says):
            find.resolve("space", choice)


def test_texts_and_pictures(tmp_path):
    written = "text(operation=[conv_3, gru, none], input=[1, 2, 1])"
    genotype = parse(written)
    assert to_text(genotype) == written and from_json(to_json(genotype)) == genotype
    check(genotype, text.space(size="tiny"))
    assert decisions(genotype)[1] == {"operation": "gru", "input": "2"}
    assert diagram.text(genotype).splitlines() == [
        "layer  operation  input",
        "1      conv_3     1",
        "2      gru        2",
        "3      none       1",
    ]
    assert text.space().pictured(genotype) == genotype
    assert not flow.is_constant(genotype, text.space(), 1)
    diagram.draw(random(text.space(), 0), tmp_path / "layers.png")
    assert (tmp_path / "layers.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(UserError, match="as many options for each decision"):
        check(parse("text(operation=[conv_3, gru], input=[1])"), text.space(size="tiny"))


@pytest.mark.parametrize(
    "operation, parameters, multiply_adds",
    [
        ("conv_5", 5 * 8 * 8 + 2 * 8, 5 * 5 * 64),
        ("gru", 2 * (2 * 8 * 24 + 24 + 8) + 2 * 8, 5 * 2 * 2 * 8 * 24),
        ("attention", 8 * 24 + 24 + 2 * 8, 5 * 8 * 24 + 2 * 5 * 5 * 8),
        ("max_pool_3", 2 * 8, 0),
        ("none", 0, 0),
    ],
)
def test_parameters_and_multiply_adds_by_hand(operation, parameters, multiply_adds):
    space = text.space(layers=1, inputs=1, embedded=0.0, dropout=0.0)
    around = 11 * 8 + 8 * 8 + 2 * 8 + 2 + 8 * 3 + 3
    cost = count.of_network(parse(f"text(operation=[{operation}], input=[1])"), space, SIZE)
    assert cost.parameters == around + parameters
    assert cost.multiply_adds == 5 * 8 * 8 + 8 * 3 + multiply_adds
    assert cost.output == (1, 3)


def test_it_is_shown(capsys):
    assert cli.main(["show", "text(operation=[conv_3, gru], input=[1, 2])"]) == 0
    said = capsys.readouterr().out
    assert "2      gru        2" in said and "'text' is as large as its data make it, so it is not counted" in said


def test_it_is_for_sentences_only():
    genotype = random(text.space(size="tiny"), 0)
    with pytest.raises(UserError, match="Networks of the space 'text' read sequences"):
        build(genotype, classes=3)
    with pytest.raises(UserError, match="in image spaces only, not in 'text'"):
        count.candidates(text.space(), SIZE, 8)
    with pytest.raises(UserError, match="no cells of operations"):
        text.space().backbone()


def test_a_new_network_knows_nothing_yet():
    """Embeddings are small, all layers count alike."""
    space = text.space(size="tiny", operations="identity")
    network = functionalize(lambda rngs: space.network(random(space, 0), space, SIZE, rngs=rngs))
    weights, _ = jax.jit(network.init)(jax.random.key(0))
    ends = weights["body"]["ends"]
    assert np.abs(ends["embedding"]).max() <= 0.25 < 2 * np.abs(ends["embedding"]).max()
    assert not ends["shares"].any() and ends["shares"].shape == (3,)
