"""Whether something of an image reaches the end of a network: by the graph, and by the network itself."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from dnas import find, retrain
from dnas.architectures import flow
from dnas.architectures.genotype import CellGenotype, Edge, Genotype, parse
from dnas.architectures.topology import Space
from dnas.config import Config, RetrainConfig
from dnas.errors import UserError
from dnas.nets.network import build

SKIPS = ((2, 0, "skip_connect"), (2, 1, "skip_connect"))
OLDER = ((2, 0, "skip_connect"), (2, 1, "none"))
NEWER = ((2, 0, "noise"), (2, 1, "skip_connect"))
CUT = ((2, 0, "none"), (2, 1, "noise"))


def darts(normal, reduce):
    cells = (CellGenotype(tuple(Edge(*edge) for edge in edges), (2,)) for edges in (normal, reduce))
    return Genotype("darts", tuple(zip(("normal", "reduce"), cells, strict=True)))


def test_the_inputs_that_reach_the_output_of_a_cell():
    for edges, expected in ((SKIPS, {0, 1}), (OLDER, {0}), (NEWER, {1}), (CUT, set())):
        assert flow.passed(darts(edges, edges).cell("normal"), 2) == expected
    chain = CellGenotype((Edge(3, 2, "skip_connect"), Edge(2, 1, "skip_connect"), Edge(4, 0, "skip_connect")), (3,))
    assert flow.passed(chain, 2) == {1}  # whatever the order of the edges is; node 4 is no part of the output
    assert flow.passed(replace(chain, concat=None), 2) == {0}  # the last node
    assert flow.passed(replace(chain, concat=(1,)), 2) == {1}
    assert flow.passed(CellGenotype(()), 1) == frozenset()


GENOTYPES = [
    (darts(SKIPS, SKIPS), 3, False),
    (darts(CUT, SKIPS), 3, False),  # a network of three cells ends with two reduction cells
    (darts(CUT, SKIPS), 6, True),
    (darts(SKIPS, CUT), 3, True),
    (
        darts(OLDER, CUT),
        6,
        False,
    ),  # cell 5 reads cell 3, that cell 1, that the stem
    (darts(NEWER, CUT), 6, True),
    (darts(OLDER, OLDER), 4, False),
    (parse("|skip_connect~0|+|none~0|none~1|"), 1, True),
    (parse("|none~0|+|none~0|skip_connect~1|"), 2, True),
    (parse("|skip_connect~0|+|none~0|skip_connect~1|"), 2, False),
]


@pytest.mark.parametrize("genotype, cells, constant", GENOTYPES)
def test_a_network_is_constant_where_its_graph_is_cut(genotype, cells, constant):
    assert flow.is_constant(genotype, find.resolve("space", genotype.space), cells) == constant


@pytest.mark.slow
@pytest.mark.parametrize("genotype, cells, constant", GENOTYPES)
def test_the_graph_tells_whether_the_image_has_a_gradient(genotype, cells, constant):
    network = build(genotype, classes=3, cells=cells, channels=2)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)

    def answers(image):
        return network(image[None]).logits[0].sum()

    gradients = jax.jit(jax.vmap(jax.grad(answers)))(images)
    assert (np.abs(gradients).max() == 0) == constant


def test_where_the_order_of_cells_is_not_known_all_must_be_cut():
    space: Space = replace(find.resolve("space", "darts"), order=None)
    assert flow.is_constant(darts(CUT, CUT), space, 6) and not flow.is_constant(darts(CUT, SKIPS), space, 6)


def test_what_is_said():
    space = find.resolve("space", "darts")
    assert flow.warning(darts(SKIPS, OLDER), space, 6) == ""
    assert "a network of 6 cells of this genotype" in flow.warning(darts(CUT, SKIPS), space, 6)
    assert flow.warning(darts(OLDER, CUT), space, 6) == "Nothing of its inputs reaches the output of the reduce cell."
    recurrent = parse("Genotype(recurrent=[('none', 0), ('tanh', 1)], concat=[2])")
    assert flow.warning(recurrent, None, 20) == "Nothing of its inputs reaches the output of the recurrent cell."


def test_such_a_network_is_not_trained(tmp_path):
    config = Config(retrain=RetrainConfig(cells=6))
    with pytest.raises(UserError, match="its answer would not depend on the image; train another cell"):
        retrain.run(config, darts(NEWER, CUT), tmp_path / "run")
    assert not (tmp_path / "run").exists()
