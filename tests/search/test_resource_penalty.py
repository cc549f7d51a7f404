"""Resource penalties: the cost of a mix is what the network of its genotype costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.search import penalty
from dnas.spaces import darts, nasbench201
from dnas.types import Clock

CONFIG = SearchConfig(cells=5, channels=4)
CLOCK = Clock(0, 0, 1)


@pytest.mark.parametrize("space", [darts.space(), nasbench201.space()], ids=lambda space: space.name)
@pytest.mark.parametrize("resource", ["parameters", "multiply_adds"])
def test_costs_are_those_of_derived_networks(space, resource):
    """Two genotypes differ in cost by what their operations cost; everything else is the same."""
    costs, size = penalty.operation_costs(space, CONFIG, resource), NetworkSize(CONFIG.cells, CONFIG.channels, 10)
    cells = {"normal": 3, "reduce": 2, "cell": 3 * CONFIG.cells}
    assert {kind: table.shape for kind, table in costs.items()} == {
        kind: (cells[kind], *shape) for kind, shape in space.mix_shapes.items()
    }
    rest = []
    for seed in range(3):
        genotype = random(space, seed)
        of_cells = sum((costs[kind] * m).sum() for kind, m in as_mix(genotype, space).items())
        assert of_cells > 0
        rest.append(getattr(count(genotype, space, size, penalty.IMAGE_SIZE), resource) - of_cells)
    assert rest[0] == rest[1] == rest[2] > 0


COSTS = {"a": np.array([[[0.0, 3.0], [1.0, 5.0]], [[0.0, 6.0], [2.0, 20.0]]]), "b": np.array([[[2.0, 8.0]]])}
MIX = {"a": jnp.array([[0.75, 0.25], [0.0, 1.0]]), "b": jnp.array([[1.0, 0.0]])}


def test_penalties_and_their_derivatives():
    total, most = 0.75 + 5 + 1.5 + 20 + 2, 3 + 5 + 6 + 20 + 8
    assert float(penalty.cost(COSTS, MIX)) == total
    relative, mean, log = (f(COSTS, 0.2) for f in (penalty.relative_cost, penalty.mean_cost, penalty.log_cost))
    np.testing.assert_allclose(relative({}, MIX, CLOCK), 0.2 * total / most, rtol=1e-6)
    np.testing.assert_allclose(mean({}, MIX, CLOCK), 0.2 * ((total - 2) / 2 + 2), rtol=1e-6)
    logs = (np.log([1, 5]).sum() + np.log([1.5, 20]).sum()) / 2 + np.log(2)  # 0.75 counts as 1
    np.testing.assert_allclose(log({}, MIX, CLOCK), 0.2 * logs, rtol=1e-6)
    slope = jax.grad(lambda m: log({}, m, CLOCK))(MIX)
    np.testing.assert_allclose(slope["b"], 0.2 * COSTS["b"][0] / 2, rtol=1e-6)
    first = np.array([0.0, 6.0]) / 1.5 / 2  # in the other cell it is below 1 and has no slope
    second = (np.array([1.0, 5.0]) / 5 + np.array([2.0, 20.0]) / 20) / 2
    np.testing.assert_allclose(slope["a"], 0.2 * np.stack([first, second]), rtol=1e-6)


def test_the_logarithms_of_the_reference_code():
    """PyTorch: the same with `clean = R.clone(); clean[R.abs() < 1] = 1` and `log(clean)`, over two cells."""
    log = penalty.log_cost({"a": COSTS["a"]}, 0.2)
    value, slope = jax.value_and_grad(lambda m: log({}, m, CLOCK))({"a": MIX["a"]})
    np.testing.assert_allclose(value, 0.5010635294096256, rtol=1e-6)
    np.testing.assert_allclose(slope["a"], [[0.0, 0.4], [0.03, 0.2]], rtol=1e-6)


def test_columns_that_a_method_added_are_free():
    added = {kind: jnp.pad(m, ((0, 0), (0, 1)), constant_values=9.0) for kind, m in MIX.items()}
    for rule in (penalty.mean_cost, penalty.log_cost, penalty.relative_cost):
        assert float(rule(COSTS, 1.0)({}, added, CLOCK)) == float(rule(COSTS, 1.0)({}, MIX, CLOCK))


def test_an_unknown_resource_is_one_sentence():
    with pytest.raises(UserError, match="Did you mean parameters"):
        penalty.operation_costs(nasbench201.space(nodes=2), CONFIG, "parameter")
