"""The benchmark's own arithmetic, and its sides on tiny settings."""

import json
import subprocess
import sys
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "benchmark.py"
TINY = ("--work", "nasbench201", "--cells", "1", "--channels", "2", "--batch", "2", "--steps", "1", "--json")


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def side(*words):
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_our_side_alone():
    found = side("--side", "ours", "--count", *TINY)
    assert found["side"] == "ours" and found["cells"] == 1 and found["trace_seconds"] > 0 < found["compile_seconds"]
    assert len(found["seconds"]) == 1 and found["median_seconds"] == found["seconds"][0] > 0
    assert found["peak_mb"] > 100 and found["parameters"] > 100 and found["step_bytes"] > 1000


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch: pip install 'dnas[bench]'")
def test_the_torch_side_alone():
    found = side("--side", "torch", *TINY)
    assert found["side"] == "torch" and found["variant"] == "channels_last" and found["median_seconds"] > 0


def elastic(channels, cells):
    """(state, step) of our side of the work ofa, as shapes."""
    import ours

    options = Namespace(work="ofa", channels=channels, cells=cells, batch=2, remat=False, unroll=False, dtype="float32")
    init, step = ours.search(options)
    return jax.eval_shape(init, jax.random.key(0)), step, ours.batches(options)


@pytest.mark.parametrize(("channels", "cells", "parameters"), [(4, 1, 181_868), (16, 2, 3_576_798)])
def test_the_elastic_supernet_is_that_of_the_torch_side(channels, cells, parameters):
    """Whose parameters these are."""
    state, _, _ = elastic(channels, cells)
    assert sum(leaf.size for leaf in jax.tree.leaves(state.weights)) == parameters


@pytest.mark.slow
def test_a_step_of_the_elastic_supernet_trains_sub_networks_by_a_teacher():
    from dnas.search.levels import Levels

    state, step, batches = elastic(4, 1)
    after, loss = jax.eval_shape(step, state, jax.tree.map(jnp.asarray, Levels(*batches)))
    assert loss.shape == () and jax.tree.structure(after) == jax.tree.structure(state)
    assert jax.tree.structure(state.teacher) == jax.tree.structure(state.weights)


def test_a_wrong_number_is_one_sentence():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--side", "ours", "--cells", "0"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "--cells: invalid positive value" in done.stderr and "Traceback" not in done.stderr


def test_loops_are_counted_as_often_as_they_run():
    import cost

    def chain(x, matrices):
        return jax.lax.scan(lambda x, matrix: (jnp.tanh(x @ matrix), None), x, matrices)[0]

    x, matrices = jnp.ones((64, 64)), jnp.ones((10, 64, 64))
    assert cost.flops(jax.make_jaxpr(chain)(x, matrices).jaxpr) == 10 * 2 * 64**3
    moved = cost.bytes_accessed(jax.jit(chain).lower(x, matrices).compile().as_text())
    least = 10 * 3 * x.nbytes  # every turn reads a matrix and x, and writes x
    assert least < moved < 4 * least


def test_gradients_of_a_depthwise_convolution_cost_three_times_itself():
    import cost

    def total(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=4
        ).sum()

    jaxpr = jax.make_jaxpr(jax.grad(total, (0, 1)))(jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 1, 4))).jaxpr
    assert cost.flops(jaxpr) == 3 * 2 * (2 * 8 * 8 * 4) * 9


def test_the_three_depthwise_forms_are_equal():
    import gpu

    keys = jax.random.split(jax.random.key(0), 3)
    x, deep = jax.random.normal(keys[0], (2, 6, 6, 4)), jax.random.normal(keys[1], (5, 5, 4))
    point = jax.random.normal(keys[2], (4, 3))
    first, *others = (form(x, deep, point) for form in gpu.FORMS)
    for other in others:
        assert jnp.allclose(first, other, rtol=1e-4, atol=1e-4)


def test_targets_say_met_or_by_how_much_not():
    from targets import verdict

    assert verdict("step", 0.5, 0.5).said == "met"
    assert verdict("step", 0.75, 0.5).said == "missed by 50 %"


def test_the_picture_of_scaling(tmp_path):
    import scaling
    from turns import Setting

    point = {"trace_seconds": 1.0, "cold_seconds": 3.0}
    rows = [
        {"axis": axis, "value": value, "edges": scaling.edges(value), "median_seconds": 2.0 * value, **point}
        for axis in scaling.POINTS
        for value in (1, 2, 4)
    ]
    assert (
        scaling.exponent(rows, "cells", "median_seconds") == 1 and scaling.exponent(rows, "cells", "cold_seconds") == 0
    )
    scaling.draw(rows, Setting(), tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_our_own_comparisons_are_judged(monkeypatch):
    import own
    from turns import Setting

    def measured(named, *_):
        return {
            name: {"median_seconds": 1.0 * s.seeds + 0.5 * s.remat, "cold_seconds": 10 + s.cells / 8, "peak_mb": 100.0}
            for name, s in named.items()
        }, {}

    monkeypatch.setattr(own, "measure", measured)
    _, verdicts = own.compare(Setting(), None, 150.0)
    assert [verdict.said for verdict in verdicts] == ["met", "missed by 11 %", "missed by 33 %", "met"]
