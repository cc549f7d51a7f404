"""Diagrams: the table says every edge; in the figure no label, node or passing arrow overlaps another."""

from itertools import combinations

import pytest
from PIL import Image

from dnas.architectures import zoo
from dnas.architectures.genotype import parse
from dnas.reports import diagram, layout
from dnas.reports.diagram import FAMILIES, family, label

NASBENCH201 = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
CELLS = [
    "DARTS_V2",
    "NASNet",
    "AmoebaNet",
    "PC_DARTS_cifar",
    "FairDARTS_a",
    "SNAS_mild_edge_all",
    "ENAS_rnn",
    NASBENCH201,
]


@pytest.mark.parametrize(
    ("operation", "expected", "kind"),
    [
        ("sep_conv_3x3", "sep 3x3", "separable convolution"),
        ("dil_conv_5x5", "dil 5x5", "dilated convolution"),
        ("max_pool_3x3", "max pool 3x3", "pooling"),
        ("nor_conv_1x1", "conv 1x1", "convolution"),
        ("conv_7x1_1x7", "conv 7x1 1x7", "convolution"),
        ("skip_connect", "skip", "skip"),
        ("tanh", "tanh", "activation"),
        ("noise", "noise", "other"),
        ("none", "none", "none"),
    ],
)
def test_labels_are_short_and_coloured_by_family(operation, expected, kind):
    assert (label(operation), family(operation)) == (expected, kind)


def test_every_operation_of_the_zoo_has_its_family():
    names = {
        edge.operation for name in zoo.names() for _, cell in zoo.entry(name).genotype.cells for edge in cell.edges
    }
    assert {name for name in names if family(name) == "other"} == {"noise"}
    assert {family(name) for name in names} == set(FAMILIES)


def test_text_names_every_edge():
    assert diagram.text(parse("|none~0|+|nor_conv_3x3~0|skip_connect~1|")) == "\n".join(
        [
            "cell",
            "       1 ── none ─────── input",
            "  output ┬─ conv 3x3 ─── input",
            "         └─ skip ─────── 1",
        ]
    )
    fair = diagram.text(parse("FairDARTS_a"))
    assert "    1 ── no input" in fair and "c_{k} ══ concat of 0, 1, 2, 3" in fair
    assert "mean of 2, 5, 6, 9, 10, 11" in diagram.text(parse("ENAS_rnn"))


@pytest.mark.parametrize("name", CELLS)
def test_nothing_overlaps(name):
    for kind, cell in parse(name).cells:
        found = layout.layout_of(kind, cell)
        drawn = [arrow for arrow, _ in found.arrows if arrow]
        assert sorted(drawn) == sorted(cell.edges)
        for a, b in combinations(found.vertices, 2):
            apart = abs(a.x - b.x) > (a.width + b.width) / 2 or abs(a.y - b.y) > (a.height + b.height) / 2 + 0.09
            assert apart, (a, b)
        for edge, way in found.arrows:
            assert all(a.x < b.x for a, b in zip(way, way[1:], strict=False))
            assert [vertex.edge for vertex in way if vertex.edge] == ([edge] if edge else [])


@pytest.mark.parametrize("name", ["DARTS_V2", "ENAS_rnn", NASBENCH201])
def test_figure_shows_the_families(tmp_path, name):
    genotype = parse(name)
    path = tmp_path / "cell.png"
    diagram.draw(genotype, path, title="a title")
    with Image.open(path) as image:
        assert image.width > 800 and image.height > 300
        colours = {
            f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in image.convert("RGB").getcolors(image.width * image.height)
        }
    used = {family(edge.operation) for _, cell in genotype.cells for edge in cell.edges} - {"none"}
    shown = {name for name, (colour, _) in FAMILIES.items() if colour in colours}
    same = {"separable convolution": "activation"}  # these two share a colour: no cell has both
    assert used <= shown | {same.get(name, name) for name in shown}
    assert {"dilated convolution", "convolution"} & shown == {"dilated convolution", "convolution"} & used
