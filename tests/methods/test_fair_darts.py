"""FairDARTS: the zero-one loss pushes away from 1/2, and thresholds that leave nodes without input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import Edge, check, parse, to_text
from dnas.architectures.genotype_data import decisions
from dnas.errors import UserError
from dnas.nets.network import build
from dnas.search import discretise
from dnas.search.penalty import zero_one
from dnas.spaces import darts, nasbench201, tabular

SPACE = darts.space(nodes=2, operations="none+skip_connect+sep_conv_3x3")
EDGES = [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


def mix(**weights):
    """A mix of SPACE that is 0.1 but for edges like `e20=(none, skip, conv)`, in both kinds of cells."""
    rows = np.full((5, 3), 0.1)
    for name, row in weights.items():
        rows[EDGES.index((int(name[1]), int(name[2])))] = row
    return {"normal": rows, "reduce": rows}


@pytest.mark.parametrize("distance, power", [("l2", 2), ("l1", 1)])
def test_the_zero_one_loss_pushes_every_entry_away_from_a_half(distance, power):
    penalty = zero_one(10.0, distance)
    table = {"normal": jnp.array([[0.5, -2.0]]), "reduce": jnp.array([[0.1, 1.0]])}

    def value(alphas):
        return penalty(alphas, jax.tree.map(jax.nn.sigmoid, alphas), None)

    away = 1 / (1 + np.exp(-np.array([0.5, -2.0, 0.1, 1.0]))) - 0.5
    np.testing.assert_allclose(value(table), -10 * (np.abs(away) ** power).mean(), rtol=1e-6)
    for leaf, gradient in zip(jax.tree.leaves(table), jax.tree.leaves(jax.grad(value)(table)), strict=True):
        assert (np.sign(gradient) == -np.sign(leaf)).all()  # descent goes on in the direction of every alpha


def test_an_edge_below_the_threshold_is_left_out():
    found = discretise.threshold_sparse(0.85)(SPACE, mix(e20=(0.99, 0.2, 0.9), e31=(0, 0.86, 0.1), e32=(0, 0.84, 0)))
    cell = found.cell("normal")
    assert cell.edges == (Edge(2, 0, "sep_conv_3x3"), Edge(3, 1, "skip_connect"))  # `none` never counts
    assert cell.concat == (2, 3)
    check(found, SPACE)
    assert parse(to_text(found)) == found


def test_a_node_without_input_is_not_part_of_the_output_and_nothing_reads_it():
    found = discretise.threshold_sparse(0.85)(SPACE, mix(e31=(0, 0.9, 0), e32=(0, 0, 0.95)))
    assert found.cell("normal").edges == (Edge(3, 1, "skip_connect"),) and found.cell("normal").concat == (3,)
    check(found, SPACE)
    network = build(found, classes=3, cells=3, channels=4)
    assert network(jnp.ones((2, 8, 8, 3))).logits.shape == (2, 3)
    assert network.backbone.classifier.kernel.shape == (16, 3)  # one node of 4 channels, doubled twice


def test_a_cell_of_which_nothing_passes_is_empty():
    found = discretise.threshold_sparse(0.85)(SPACE, mix())
    assert found.cell("normal").edges == () and found.cell("normal").concat == (2, 3)
    check(found, SPACE)
    assert parse(to_text(found)).cells == found.cells


def test_two_operations_on_an_edge_stand_in_ascending_order():
    found = discretise.threshold_edge(0.5)(SPACE, mix(e20=(0.99, 0.9, 0.6), e21=(0, 0.4, 0.6)))
    assert found.cell("reduce").edges == (
        Edge(2, 0, "sep_conv_3x3"),
        Edge(2, 0, "skip_connect"),
        Edge(2, 1, "sep_conv_3x3"),
    )


def test_where_all_edges_are_kept_a_weak_one_is_none():
    space = nasbench201.space(nodes=3)
    rows = np.full((3, 5), 0.2)
    rows[0, 3] = rows[2, 1] = 0.9
    found = discretise.threshold_sparse(0.85)(space, {"cell": rows})
    assert to_text(found) == "|nor_conv_3x3~0|+|none~0|skip_connect~1|"
    with pytest.raises(UserError, match="use 'threshold_sparse'"):
        discretise.threshold_edge(0.85)(space, {"cell": rows})


def test_unknown_settings_are_named():
    for setting in ("distance=l3", "rule=threshold"):
        with pytest.raises(UserError, match="fair_darts"):
            find.resolve("method", f"fair_darts:{setting}")


def test_a_decision_without_none_is_its_strongest_option_however_little_that_weighs():
    space = tabular.space(layers=2)
    mix = {kind: np.full(cell.mix_shape, 0.1) for kind, cell in space.cells.items()}
    for kind in mix:
        mix[kind][:, 1] = 0.2, 0.9
    layers = decisions(discretise.threshold_sparse(0.85)(space, mix))
    kept = {kind: cell.operations[0][1] for kind, cell in space.cells.items()}
    assert layers == (kept | {"skip": "none", "norm": "none"}, kept)
