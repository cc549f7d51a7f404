"""What a look between epochs can ask for, and what it can ask."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from dnas.runs import devices, loop
from dnas.search.method import Outcome
from dnas.search.outcomes import turned
from dnas.search.stage import Stage
from dnas.tasks.task import Score
from dnas.types import SearchState

ALPHAS = {"cell": jnp.arange(12.0).reshape(2, 3, 2)}


def progress():
    nothing = dict.fromkeys(("step", "key", "weights", "stats", "weight_opt", "alpha_opt"))
    state = SearchState(**nothing, alphas=ALPHAS, knobs={"k": jnp.ones(2)})
    return loop.Progress(**{**dict.fromkeys(loop.Progress._fields), "state": state})


def test_alphas_become_what_the_look_says_of_each_seed():
    mine = {"cell": np.full((3, 2), 0.5)}
    state = turned(progress(), [Outcome(), Outcome(alphas=mine, knobs={"k": 3.0})]).state
    np.testing.assert_array_equal(state.alphas["cell"], np.stack([ALPHAS["cell"][0], mine["cell"]]))
    assert state.alphas["cell"].dtype == ALPHAS["cell"].dtype
    np.testing.assert_array_equal(state.knobs["k"], [1, 3])
    assert turned(progress(), [Outcome(), Outcome(knobs={"k": 2.0})]).state.alphas is ALPHAS


def test_an_evaluation_reads_batches_in_a_row_from_any_number_on(monkeypatch):
    monkeypatch.setattr(devices, "fetch", lambda tree: tree)
    stage = SimpleNamespace(
        valid_batches=(jnp.arange(5), None),
        batches=5,
        calibration_batches=lambda examples: 0,
        evaluate_one=lambda network, data, train: data[0].tolist(),
        task=SimpleNamespace(score=Score("mean"), measures=lambda rows: {"mean": np.mean(rows), "loss": rows}),
    )
    state = SearchState(**dict.fromkeys(SearchState._fields))
    evaluate = Stage.evaluator(stage, state, 0)
    assert evaluate({})[1] == [0, 1, 2, 3, 4]
    assert evaluate({}, batches=2)[1] == [0, 1]
    assert [evaluate({}, batches=2, first=n)[1] for n in (1, 3, 4, 7)] == [[1, 2], [3, 4], [0, 1], [3, 4]]
    assert evaluate({}, batches=9, first=7)[1] == [0, 1, 2, 3, 4]
