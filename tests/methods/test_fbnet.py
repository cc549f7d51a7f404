"""FBNet's loss and ProxylessNAS', by hand, and what they refuse."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import Config, SearchConfig
from dnas.costs import latency_table
from dnas.errors import UserError
from dnas.search.run import build
from dnas.spaces import fbnet
from dnas.types import Clock

TINY, SIZE, CLOCK = fbnet.space(size="tiny"), NetworkSize(1, 4, 10), Clock(jnp.int32(0), jnp.int32(2), 10)


def priced(text):
    method = find.resolve("method", text)
    return method.price(method, TINY, SIZE, 16)


def test_the_losses_are_those_of_the_papers(float64):
    cost = find.resolve("cost", "parameters")(TINY, SIZE, 16).expected
    alphas = {"block": jax.random.normal(jax.random.key(0), TINY.mix_shapes["block"], jnp.float64)}
    mix = find.resolve("method", "fbnet").relax(alphas, jax.random.key(1), CLOCK)
    noise = jax.random.gumbel(jax.random.split(jax.random.key(1), 1)[0], alphas["block"].shape, jnp.float64)
    expected = jax.nn.softmax((alphas["block"] + noise) / (5 * 0.956**2))
    np.testing.assert_allclose(mix["block"], expected, rtol=1e-6)
    factor = priced("fbnet:cost=parameters").factor(alphas, mix, CLOCK)
    assert float(factor) == pytest.approx(0.2 * np.log(float(cost(mix))) ** 0.6, rel=1e-6)
    mean = float(cost({"block": jax.nn.softmax(alphas["block"])}))
    factor = priced("proxyless_nas:cost=parameters,target=2000").factor(alphas, mix, CLOCK)
    assert float(factor) == pytest.approx(0.2 * (np.log(mean) / np.log(2000)) ** 0.3, rel=1e-6)
    added = priced("proxyless_nas:cost=parameters,target=2000,rule=linear").penalty(alphas, mix, CLOCK)
    assert float(added) == pytest.approx(0.1 * (mean / 2000 - 1), rel=1e-6)


@pytest.mark.parametrize(
    "method, said",
    [
        ("fbnet:cost=parametres", "Did you mean parameters"),
        ("fbnet:cost=latency", "needs a table or a device"),
        ("proxyless_nas:cost=parameters", "needs its target, a number above 1, not 0"),
        ("proxyless_nas:rule=linear", "acts with a cost only"),
        ("proxyless_nas:cost=parameters,target=9,rule=cubic", "cubic"),
        ("proxyless_nas:cost=parameters,target=9,rule=linear,power=2", "acts with rule=log only"),
    ],
)
def test_what_they_refuse(method, said):
    with pytest.raises(UserError, match=said):
        priced(method)


def test_costs_whose_logarithm_is_negative_are_refused(tmp_path):
    rows = [{name: 0.1 for name in names} for names in TINY.cells["block"].operations]
    latency_table.write(latency_table.LatencyTable("fbnet", "here", {"block": rows}, "by hand"), tmp_path / "t.json")
    for method in ("fbnet:", "proxyless_nas:target=2,"):
        with pytest.raises(UserError, match=r"smallest network has 0\.3"):
            priced(f"{method}cost=latency:table={tmp_path / 't.json'}")


def test_a_run_knows_what_its_networks_cost():
    config = Config(space="fbnet:size=tiny", data="digits:limit=300", method="fbnet", search=SearchConfig(2, 64))
    config = replace(config, retrain=replace(config.retrain, auxiliary=0))
    method = build(config).method
    assert method.factor is not None and method.price is None
