"""Warm start: what the proxies say of operations becomes where the alphas begin."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.architectures.encoding import every
from dnas.architectures.genotype import as_mix
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.loading import load
from dnas.methods import warm_start
from dnas.search.method import adapted
from dnas.search.scoring import Scoring

PROXIES = {"synflow": find.resolve("proxy", "synflow")}
SPACE = find.resolve("space", "nasbench201:nodes=3")
CONFIG = SearchConfig(epochs=2, cells=1, channels=4)


def known(mix, number):
    """Two proxies that agree on what an operation is worth, in different units, and of which one has no number."""
    worth = float((mix["cell"] * WORTH).sum())
    return {"nwot": worth, "synflow": np.exp(worth) if worth > 0 else -np.inf}


WORTH = np.random.default_rng(0).permutation(15).reshape(3, 5).astype(float)


def test_votes_that_are_sums_over_operations_are_told_apart():
    mixes = [as_mix(genotype, SPACE) for genotype in every(SPACE)]
    votes = np.array([(mix["cell"] * WORTH).sum() for mix in mixes])
    found = warm_start.regressed(mixes, votes)["cell"]
    slope, _ = np.polyfit(WORTH.ravel() - np.repeat(WORTH.mean(1), 5), found.ravel(), 1)
    np.testing.assert_allclose(
        found - found.mean(1, keepdims=True), slope * (WORTH - WORTH.mean(1, keepdims=True)), atol=1e-9
    )
    assert slope > 0
    same = warm_start.regressed(mixes, np.ones(len(mixes)))["cell"]
    assert not same.any()


@pytest.mark.parametrize("on, members", [("darts", ()), ("agreement", (4,)), ("pc_darts", ())])
def test_the_alphas_begin_with_noise_and_the_prior(on, members):
    method = adapted(find.resolve("method", f"warm_start:on={on},strength=2,pool=60"), SPACE, CONFIG)
    before = method.alphas(SPACE, jax.random.key(0), CONFIG.alphas)
    view = SimpleNamespace(space=SPACE, phase=0, seed=3, alphas=jax.tree.map(np.asarray, before), score=known)
    outcome = method.between_epochs(view)
    table, began = warm_start.operations(outcome.alphas)["cell"], warm_start.operations(view.alphas)["cell"]
    assert table.shape == (*members, 3, 5)
    np.testing.assert_allclose(
        table - began, 2 * np.broadcast_to(outcome.notes["prior"]["cell"], table.shape), atol=1e-6
    )
    np.testing.assert_array_equal(table.argmax(-1), np.broadcast_to(WORTH.argmax(-1), table.shape[:-1]))
    assert jax.tree.structure(outcome.alphas) == jax.tree.structure(view.alphas)
    assert method.between_epochs(view.__class__(**{**vars(view), "phase": 1})).alphas is None


def test_it_is_a_phase_before_the_others():
    method = find.resolve("method", "warm_start:on=darts")
    first, second = method.phases(SPACE, CONFIG)
    assert not first.trains and second.trains and (first.config.epochs, second.config) == (1, CONFIG)
    late = replace(CONFIG, alphas=AlphaConfig(warmup_epochs=1), weights=WeightConfig(warmup_epochs=1))
    first, second = method.phases(SPACE, late)
    assert first.config.alphas.warmup_epochs == first.config.weights.warmup_epochs == 0 and second.config == late


@pytest.mark.parametrize("choice", ["gaea", "spos", "enas", "darts_pt", "sgas", "zero_cost_pt"])
def test_what_has_no_logits_or_does_things_between_epochs_is_refused(choice):
    with pytest.raises(UserError, match="Method 'warm_start' (adds to the logits|prepares one search)"):
        method = find.resolve("method", f"warm_start:on={choice}")
        adapted(method, SPACE, CONFIG).phases(SPACE, CONFIG)


def test_a_proxy_twice_is_refused():
    with pytest.raises(UserError, match="name one twice"):
        find.resolve("method", "warm_start:proxy=nwot+nwot")


@pytest.mark.slow
def test_a_search_begins_with_what_its_proxies_say(tmp_path):
    """Alphas that hardly move end with the genotype of the prior."""
    config = Config(
        space="nasbench201:nodes=3,operations=skip_connect+nor_conv_1x1+avg_pool_3x3",
        method="warm_start:proxy=synflow,pool=6,strength=5",
        data="digits:limit=60",
        search=SearchConfig(
            epochs=1, cells=1, channels=2, batch_size=6, augment=AugmentConfig(pad=1), alphas=AlphaConfig(1e-6)
        ),
    )
    result = dnas.search.run(config, tmp_path / "run", quiet=True)
    found = load(result.folder)
    before = jax.tree.map(lambda leaf: leaf[0], found.stage.init(found.stage.seeds).state)
    stage = found.stage
    scoring = Scoring(stage.build, stage.thin, stage.space, found.task, PROXIES, before, stage.arrays[0], 6, False)
    view = SimpleNamespace(space=found.stage.space, seed=config.seed, score=scoring(before))
    prior = warm_start.prior(view, 6)["cell"]
    mix = as_mix(result.genotype, found.stage.space)["cell"]
    np.testing.assert_array_equal(mix.argmax(1), prior.argmax(1))
