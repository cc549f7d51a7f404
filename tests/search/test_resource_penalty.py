"""Resource penalties: the cost of a mix is what the network of its genotype costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.search import penalty
from dnas.spaces import darts, nasbench201
from dnas.spaces.genotype import as_mix, random
from dnas.spaces.topology import Body
from dnas.types import Clock

CONFIG = SearchConfig(cells=5, channels=4)
CLOCK = Clock(0, 0, 1)


@pytest.mark.parametrize("space", [darts.space(), nasbench201.space()], ids=lambda space: space.name)
@pytest.mark.parametrize("resource", ["parameters", "multiply_adds"])
def test_costs_are_those_of_derived_networks(space, resource):
    """Two genotypes differ in cost by what their operations cost; everything else is the same."""
    costs, body = penalty.operation_costs(space, CONFIG, resource), Body(CONFIG.cells, CONFIG.channels, 10)
    assert {kind: table.shape for kind, table in costs.items()} == space.mix_shapes
    rest = []
    for seed in range(3):
        genotype = random(space, seed)
        of_cells = sum((costs[kind] * m).sum() for kind, m in as_mix(genotype, space).items())
        assert of_cells > 0
        rest.append(getattr(count(genotype, space, body, penalty.IMAGE_SIZE), resource) - of_cells)
    assert rest[0] == rest[1] == rest[2] > 0


def test_logarithmic_and_relative_penalties_and_their_derivatives():
    costs = {"a": np.array([[0.0, 3.0], [1.0, 5.0]]), "b": np.array([[2.0, 8.0]])}
    mix = {"a": jnp.array([[0.5, 0.5], [0.0, 1.0]]), "b": jnp.array([[1.0, 0.0]])}
    total, most = 1.5 + 5 + 2, 3 + 5 + 8
    assert float(penalty.cost(costs, mix)) == total
    log, relative = penalty.log_cost(costs, 0.2), penalty.relative_cost(costs, 0.2)
    np.testing.assert_allclose(log({}, mix, CLOCK), 0.2 * np.log(total), rtol=1e-6)
    np.testing.assert_allclose(relative({}, mix, CLOCK), 0.2 * total / most, rtol=1e-6)
    slope = jax.grad(lambda m: log({}, m, CLOCK))(mix)
    np.testing.assert_allclose(slope["b"], 0.2 * costs["b"] / total, rtol=1e-6)
    added = {kind: jnp.pad(m, ((0, 0), (0, 1)), constant_values=9.0) for kind, m in mix.items()}
    assert float(penalty.cost(costs, added)) == total


def test_an_unknown_resource_is_one_sentence():
    with pytest.raises(UserError, match="Did you mean parameters"):
        penalty.operation_costs(nasbench201.space(nodes=2), CONFIG, "parameter")
