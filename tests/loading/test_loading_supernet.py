"""A search is loaded: its supernet with the mix evaluates to what the run said last, exactly."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import dnas
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.runs import records

PLAIN = AugmentConfig(pad=0, flip=False)
IMAGES = Config(
    space="nasbench201:nodes=2,operations=none+skip_connect+nor_conv_1x1",
    data="digits:limit=64",
    seed=3,
    seeds=2,
    search=SearchConfig(epochs=2, cells=1, channels=2, batch_size=16, augment=PLAIN),
)
ROWS = replace(IMAGES, space="tabular:layers=1", data="wine", seeds=1)
CONFIGS = {
    "images": IMAGES,
    "phases": replace(ROWS, method="drnas:partial=1+1,keep=1", seeds=2),
    "one path": replace(ROWS, method="gdas"),
}


@pytest.fixture(
    scope="module", params=["one path", *(pytest.param(name, marks=pytest.mark.slow) for name in ("images", "phases"))]
)
def searched(request, tmp_path_factory):
    return request.param, dnas.search.run(
        CONFIGS[request.param], tmp_path_factory.mktemp("searched") / "run", quiet=True
    )


def test_it_evaluates_to_the_last_row_of_the_run(searched):
    name, result = searched
    for index in range(result.config.seeds):
        found = dnas.load(result.folder, seed=result.config.seed + index)
        row = [row for row in records.read_metrics(result.folder) if row["seed"] == found.seed][-1]
        measured = found.evaluate()
        assert {f"valid_{key}": value for key, value in measured.measures.items()} == {
            key: value for key, value in row.items() if key.startswith("valid_")
        }
        assert measured.confusion.trace() == round(measured.accuracy * measured.confusion.sum())
        assert found.genotype == result.genotypes[index] and found.genotypes == result.genotypes
        logged = [row for row in records.read_mix(result.folder) if row["seed"] == found.seed][-1]["mix"]
        for kind, rows in logged.items():
            for mine, theirs in zip(found.mix[kind], rows.values(), strict=True):
                np.testing.assert_allclose(mine[: len(theirs)], list(theirs.values()), rtol=1e-3, atol=1e-4)
        if name == "one path":
            assert all(
                (rows.max(-1) == 1).all() and (rows.sum(-1) == 1).all() for rows in found.evaluation_mix.values()
            )
        elif name == "phases":
            before = dnas.find.resolve("space", result.config.space).mix_shapes
            assert found.stage.span.start and any(rows.shape[1] < before[kind][1] for kind, rows in found.mix.items())


def test_its_network_takes_a_mix(searched, tmp_path):
    name, result = searched
    found = dnas.load(result.folder)
    if name != "images":
        x, given = found.task.parts["valid"].x, dict(zip(*_rows(found), strict=True))
    else:
        given = found.task.splits.valid_x
        x = normalise(given, found.images.mean, found.images.std)
    answers = found.predict(given)
    for call in (found.network, jax.jit(lambda *args: found.network(*args))):
        np.testing.assert_allclose(jax.nn.softmax(call(x, found.evaluation_mix)), answers, rtol=1e-4, atol=1e-5)
    count = sum(leaf.size for leaf in jax.tree.leaves(found.weights))
    assert f"{count:,}" in found.summary() and "rows of the mix" in found.summary()
    found.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as saved:
        assert {name.partition("/")[0] for name in saved.files} >= {"weights", "alphas", "mix"}
    with pytest.raises(UserError, match="parts train, valid, not 'test'"):
        found.evaluate(part="test")


def _rows(found):
    return [column.name for column in found.task.table.columns], found.task.parts["valid"].values


def test_data_that_have_changed_are_refused(searched, monkeypatch):
    _, result = searched
    load = dnas.data.load
    monkeypatch.setattr(
        "dnas.data.load", lambda choice: load("wine:limit=50" if "wine" in choice else "digits:limit=50")
    )
    with pytest.raises(UserError, match="not what .* was trained on any more .*: put back the data"):
        dnas.load(result.folder)


@pytest.mark.slow
def test_supernets_side_by_side_are_no_module(tmp_path):
    config = replace(ROWS, method="agreement:members=2", search=replace(ROWS.search, epochs=1))
    result = dnas.search.run(config, tmp_path / "run", quiet=True)
    found = dnas.load(result.folder)
    assert found.evaluate().accuracy == result.scores[0]
    assert found.predict(dict(zip(*_rows(found), strict=True))).shape[1] == 3
    with pytest.raises(UserError, match="2 supernets side by side"):
        _ = found.network
