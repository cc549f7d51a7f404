"""What a search cannot do is said when it is built, before its folder is made."""

from dataclasses import replace
from importlib import import_module

import jax
import numpy as np
import pytest

from dnas import data as datasets
from dnas import find
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.search import discretise, hypergrad, method, select, supernets
from dnas.search.gradient_filter import freeze_disagreeing
from dnas.search.job import Job
from dnas.tasks.images import Images, check_search
from dnas.training.weights import clip

CONFIG = Config(
    space="darts:nodes=2,operations=none+skip_connect+max_pool_3x3",
    search=SearchConfig(epochs=4, batch_size=4, cells=3, channels=4, augment=AugmentConfig(pad=1)),
)


def splits(valid=0.5):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    return datasets.split(datasets.from_arrays("noise", images, np.arange(24) % 3), valid, 0)


def job(method_name="darts", space="", own=None, **search):
    config = replace(CONFIG, method=method_name, space=space or CONFIG.space, search=replace(CONFIG.search, **search))
    chosen = find.resolve("method", method_name) if own is None else own
    space = find.resolve("space", config.space)
    return Job(
        config, space, chosen, Images(splits=splits(), recipe=config.search.augment, dtype="float32"), quiet=True
    )


@pytest.fixture(autouse=True)
def no_programs(monkeypatch):
    """The first phase is not traced: what is refused here is refused before."""

    def stage(self, index, space):
        raise AssertionError("built")

    monkeypatch.setattr(Job, "_stage", stage)


REFUSED = [
    ("drnas:keep=999", {"channels": 24}, "leaves 999 operations .* phase 2 .*'darts', where an edge has 3"),
    ("p_darts:keep=5+3", {}, "leaves 5 operations .* phase 2"),
    ("p_darts:keep=2+3", {}, "leaves 3 operations .* phase 3 .* has 2: choose at most 2"),
    ("drnas:partial=1+4,keep=2", {"channels": 6}, "no multiple of 4"),
    ("drnas:keep=2", {"epochs": 1}, "2 phases"),
    ("darts", {"alphas": AlphaConfig(warmup_epochs=4)}, "warmup_epochs is 4.* has 4 epochs"),
    ("drnas:keep=2", {"alphas": AlphaConfig(warmup_epochs=2)}, "warmup_epochs is 2.* has 2 epochs"),
    ("oles", {"inner_steps": 2}, "inner_steps"),
    ("oles", {"levels": "single"}, "two levels"),
    ("darts_pt:on=oles,blank=true", {}, "blank"),
    ("sdarts", {"levels": "single"}, "two levels"),
    ("gaea", {"levels": "single", "inner_steps": 2}, "inner_steps must be 1"),
    ("p_darts:deeper=0+1+2,keep=2+1", {"cells": 2}, "phase 2 of 'p_darts:.*has 3.*normal cell"),
    ("darts_pt:on=p_darts:keep=2+1", {"epochs": 3}, "darts_pt"),
    ("darts_pt:on=spos", {}, "darts_pt"),
    ("fair_darts:rule=threshold_edge", {"space": "nasbench201"}, "threshold_edge"),
    ("oles", {"space": "darts:operations=none+skip_connect", "alphas": AlphaConfig(learning_rate=0.0)}, "rate is 0"),
    ("darts_pt:on=agreement", {}, "one supernet, and 'agreement' has 4"),
    (
        "robust_darts:adaptive=true",
        {"weights": WeightConfig(optimiser="adamw")},
        "'adamw' has its own beside",
    ),
    ("darts", {"weights": WeightConfig(optimiser="adm")}, "Unknown optimiser 'adm'. Did you mean adam"),
    ("darts", {"weights": WeightConfig(schedule="step")}, "milestone at epoch 225, but 4 epochs"),
    ("darts", {"weights": WeightConfig(warmup_epochs=4)}, "weights.warmup_epochs is 4"),
    (
        "p_darts:keep=2+1",
        {"epochs": 9, "weights": WeightConfig(warmup_epochs=3)},
        "weights.warmup_epochs is 3.* 3 epochs",
    ),
    ("snas:resource=seconds", {}, "Unknown resource 'seconds'"),
    ("sgas", {}, "last edge .* after epoch 25, and search.epochs is 4"),
    ("asap", {"epochs": 1}, "end before it is that cold"),
    ("shapley_nas", {"alphas": AlphaConfig(warmup_epochs=4)}, "from epoch 4 on, and search.epochs is 4"),
    ("lambda_darts", {}, "no two of them with search.cells 3"),
    ("lambda_darts", {"cells": 4, "levels": "single"}, "two levels"),
    ("darts_pt:on=sgas", {}, "prunes or stops"),
]


@pytest.mark.parametrize("name, search, says", REFUSED)
def test_is_refused(name, search, says):
    with pytest.raises(UserError, match=says):
        job(name, **search)


@pytest.mark.parametrize(
    "name",
    [*find.available("method"), "darts_pt:on=oles", "darts_pt:on=snas", "darts_pt:on=gdas:unselected=computed"],
)
def test_every_method_gets_as_far_as_its_first_stage(name):
    name = "sgas:begin=0,every=3" if name == "sgas" else name
    with pytest.raises(AssertionError, match="built"):
        job(name, f"{CONFIG.space}+avg_pool_3x3+nor_conv_1x1", channels=24, epochs=12, cells=4)


FEW = ("darts:nodes=1,operations=skip_connect", "nasbench201:nodes=2,operations=nor_conv_1x1", "robust:name=s4")


@pytest.mark.parametrize("name", find.available("method"))
@pytest.mark.parametrize("space", FEW)
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_every_method_takes_few_operations_and_few_cells(name, space, cells):
    """Those that prune or compare say what they need."""
    few = {"drnas": "drnas:partial=1", "p_darts": "p_darts:deeper=0,dropout=0", "sgas": "sgas:begin=0,every=1"}
    if name == "lambda_darts" and not space.startswith("nasbench201"):
        with pytest.raises(UserError, match=f"no two of them with search.cells {cells}: choose more cells"):
            job(name, space, cells=cells, channels=24, epochs=12)
        return
    if name == "fbnet" and cells < 3 and not space.startswith("nasbench201"):
        says = f"networks of 20 cells, and a search of {cells} cells has other kinds of them: choose search.cells"
        with pytest.raises(UserError, match=says):
            job(name, space, cells=cells, channels=24, epochs=12)
        return
    if name in few and name != "sgas":
        with pytest.raises(UserError, match="'keep' leaves .* choose at most"):
            job(name, space, cells=cells, channels=24, epochs=12)
    with pytest.raises(AssertionError, match="built"):
        job(few.get(name, name), space, cells=cells, channels=24, epochs=12)


OLES = freeze_disagreeing(0.4, 20, "code", clip(5.0))


@pytest.mark.parametrize("estimate", [hypergrad.unrolled, hypergrad.neumann(1), hypergrad.finite_difference(), None])
def test_a_gradient_filter_is_never_left_out(estimate):
    with pytest.raises(UserError, match="both levels"):
        job(own=method.Method(gradient_filter=OLES, hypergrad=estimate))


@pytest.mark.parametrize("size, keep", [({}, 1), ({"channels": 8}, None), ({"cells": 6}, None)])
def test_a_gradient_filter_over_another_supernet_is_refused(size, keep):
    def phases(space, config):
        half = replace(config, epochs=2)
        return method.Phase(half), method.Phase(replace(half, **size), keep=keep)

    with pytest.raises(UserError, match="phase 2 has others"):
        job(own=method.Method(gradient_filter=OLES, phases=phases))


def test_entangled_operations_are_not_pruned_to_go_on():
    def phases(restart):
        def of(space, config):
            half = replace(config, epochs=2)
            return method.Phase(half), method.Phase(half, keep=1, restart=restart)

        return of

    with pytest.raises(UserError, match="no weights of their own to go on with"):
        job(own=method.Method(supernet=supernets.entangled, phases=phases(False)))
    with pytest.raises(AssertionError, match="built"):
        job(own=method.Method(supernet=supernets.entangled, phases=phases(True)))


def test_all_that_adapting_changes_counts():
    """What `adapt` puts into a method is what the search reads, in every part of it."""
    seen = []

    def phases(space, config):
        seen.append("phases")
        return (method.Phase(config), method.Phase(config))

    def supernet(space):
        seen.append("supernet")
        return space

    def adapt(own, space, config):
        return replace(
            own,
            phases=phases,
            supernet=supernet,
            discretise=discretise.every_edge,
            select=select.evolution(2, 1, 1, 0.5),
            between_epochs=lambda view: method.Outcome(),
            maximum_rollback=3,
        )

    base = method.Method(adapt=adapt)
    space = find.resolve("space", CONFIG.space)
    own = method.adapted(base, space, CONFIG.search)
    assert own.adapt is None and own.maximum_rollback == 3
    with pytest.raises(AssertionError, match="built"):
        job(own=base)
    assert {"phases", "supernet"} <= set(seen)


def test_adapting_goes_on_until_nothing_is_left():
    inner = method.Method(adapt=lambda own, space, config: replace(own, masks=True))
    outer = method.Method(adapt=lambda own, space, config: inner)
    assert method.adapted(outer, None, None) == replace(inner, masks=True, adapt=None)


@pytest.mark.parametrize("cells, lacking", [(1, ["normal"]), (2, ["normal"]), (3, []), (8, [])])
def test_a_kind_of_cell_that_the_network_has_not_is_not_searched(cells, lacking):
    space = find.resolve("space", CONFIG.space)
    assert [kind for kind in space.cells if kind not in space.contained(cells)] == lacking
    assert set(space.within(cells).cells) == {"normal", "reduce"} - set(lacking)


def test_without_validation_images_it_says_what_they_are_for():
    with pytest.raises(UserError, match="valid_portion is 0.*chosen by"):
        check_search(replace(CONFIG.search, levels="single"), splits(0.0))


def test_more_inner_steps_than_images_are_refused():
    with pytest.raises(UserError, match="inner_steps is 4, .* has 9 images: choose at most 2"):
        check_search(replace(CONFIG.search, inner_steps=4), splits())
    check_search(replace(CONFIG.search, inner_steps=2), splits())


def test_a_state_that_does_not_fit_is_refused():
    loop = import_module("dnas.runs.loop")
    shapes = {"w": jax.ShapeDtypeStruct((10**6, 10**6), np.float32), "key": jax.eval_shape(lambda: jax.random.key(0))}
    with pytest.raises(UserError, match="4,000.0 GB, more than half .*: choose fewer seeds, cells or channels"):
        loop.check_memory(shapes)
    loop.check_memory({"w": jax.ShapeDtypeStruct((10, 10), np.float32)})
