"""The task 'language': which words a step reads, what counts, losses and perplexity, what is refused."""

import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.data import Dataset, Text, load
from dnas.errors import UserError
from dnas.nets.layers import Outputs
from dnas.nets.recurrent import RecurrentOutputs
from dnas.tasks.language import Language
from dnas.tasks.task import reward
from dnas.types import Batch

VOCABULARY = tuple(f"w{i}" for i in range(100))


def text(train=100, valid=50, test=23):
    parts = (np.arange(n, dtype=np.int32) % 100 for n in (train, valid, test))
    return Text("counted", *parts, VOCABULARY, note="counts")


def language(data=None, **settings):
    return Language(text=data or text(), **{"bptt": 4, "tar": 0.0, **settings})


def outputs(seed, rows, time, words=100, width=3):
    random = np.random.default_rng(seed)
    logits, states, dropped = (random.normal(size=(rows, time, n)) for n in (words, width, width))
    return RecurrentOutputs(jnp.asarray(logits), jnp.asarray(states), jnp.asarray(dropped))


def negative_log_likelihood(logits, targets):
    logits = np.asarray(logits, np.float64)
    own = np.take_along_axis(logits, np.asarray(targets)[..., None], -1)[..., 0]
    return np.log(np.exp(logits).sum(-1)) - own


@pytest.mark.parametrize("columns, bptt", [(3, 4), (7, 5), (10, 9), (1, 100), (50, 35)])
def test_an_epoch_predicts_every_word_of_every_column_but_its_first_one(columns, bptt):
    task = language(bptt=bptt)
    arrays, length = task.arrays("train"), 100 // columns
    order, key = task.order(jax.random.key(0), arrays, 1000), jax.random.key(1)
    seen = [[] for _ in range(columns)]
    for number in range(task.steps("train", columns)):
        batch = task.batch(jnp.asarray(arrays), order, jnp.int32(number), columns, key)
        assert batch.inputs.shape == batch.targets.shape == batch.weights.shape == (columns, bptt)
        for column in range(columns):
            counted = np.asarray(batch.weights[column])
            assert ((batch.targets - batch.inputs)[column][counted] == 1).all()
            seen[column] += np.asarray(batch.targets[column])[counted].tolist()
    assert seen == [list(range(c * length + 1, (c + 1) * length)) for c in range(columns)]


def test_a_step_beyond_the_end_begins_anew():
    """As of the validation part, which is the shorter one, in a search."""
    task = language()
    arrays, order = jnp.asarray(task.arrays("valid")), task.order(jax.random.key(0), (), 0)
    steps = task.steps("valid", 5)
    first, again = (task.batch(arrays, order, number, 5, jax.random.key(0)) for number in (1, 1 + 2 * steps))
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), first, again))
    assert first.inputs[0].tolist() == [4, 5, 6, 7]


def test_evaluation_goes_through_ten_columns_in_order():
    task = language()
    batches, constants = task.evaluation("train")
    assert constants == () and [leaf.shape for leaf in batches] == [(3, 10, 4)] * 3
    rows = [task.evaluation_batch(row, constants) for row in zip(*batches, strict=True)]
    inputs = np.concatenate([row.inputs for row in rows], 1)
    counted = np.concatenate([row.weights for row in rows], 1)
    assert counted.sum() == 90 and counted[:, :9].all()
    assert (inputs[:, :9] == np.arange(10)[:, None] * 10 + np.arange(9)).all()
    assert ((np.concatenate([row.targets for row in rows], 1) - inputs)[counted] == 1).all()
    tiny = language(text(test=3))
    assert [leaf.shape for leaf in tiny.evaluation("test")[0]] == [(1, 1, 4)] * 3


def test_words_that_only_fill_up_do_not_count():
    """Neither in the likelihood nor in the regularisers."""
    task = language(ar=0.5, tar=0.25)
    found, targets = outputs(0, 2, 5), jnp.asarray(np.random.default_rng(1).integers(0, 100, (2, 5)))
    weights = jnp.arange(5) < 3
    whole = task.loss(found, Batch(targets, targets, jnp.broadcast_to(weights, (2, 5))))
    short = jax.tree.map(lambda leaf: leaf[:, :3], (found, targets))
    part = task.loss(short[0], Batch(short[1], short[1], jnp.ones((2, 3), bool)))
    np.testing.assert_allclose(whole[0], part[0], rtol=1e-6)
    np.testing.assert_allclose(task.loss(short[0], Batch(short[1], short[1]))[0], part[0], rtol=1e-6)
    nll = negative_log_likelihood(short[0].logits, short[1])
    activation, changes = np.square(short[0].dropped).mean(), np.square(np.diff(short[0].states, axis=1)).mean()
    np.testing.assert_allclose(part[0], nll.mean() + 0.5 * activation + 0.25 * changes, rtol=1e-5)
    np.testing.assert_allclose(whole[1]["nll"], [nll.sum(), 6], rtol=1e-5)


def test_a_sequence_with_one_word_that_counts_has_no_changes():
    task, targets = language(tar=1.0), jnp.zeros((2, 4), jnp.int32)
    batch = Batch(targets, targets, jnp.broadcast_to(jnp.arange(4) < 1, (2, 4)))
    loss, sums = task.loss(outputs(0, 2, 4), batch)
    assert float(loss) == float(sums["nll"][0] / sums["nll"][1])


def test_perplexity_is_of_all_words_together():
    """Batches weigh as many words as they have; the loss of an evaluation has no regularisers."""
    task = language(ar=1.0, tar=1.0)
    total, all_nll = None, []
    for seed, counted in ((0, 4), (1, 1)):
        found, targets = outputs(seed, 3, 4), jnp.asarray(np.random.default_rng(seed).integers(0, 100, (3, 4)))
        batch = Batch(targets, targets, jnp.broadcast_to(jnp.arange(4) < counted, (3, 4)))
        all_nll.append(negative_log_likelihood(found.logits, targets)[:, :counted].ravel())
        sums = task.evaluate(found, batch)
        assert set(sums) == set(task.measured)
        total = sums if total is None else jax.tree.map(jnp.add, total, sums)
    mean = np.concatenate(all_nll).mean()
    measures = task.measures(total)
    assert set(measures) == {"loss", "perplexity"}
    np.testing.assert_allclose(measures["loss"], mean, rtol=1e-6)
    np.testing.assert_allclose(measures["perplexity"], math.exp(mean), rtol=1e-5)


def test_the_perplexity_of_a_training_has_no_regularisers():
    task, targets = language(tar=5.0), jnp.zeros((2, 4), jnp.int32)
    loss, sums = task.loss(outputs(0, 2, 4), Batch(targets, targets))
    assert set(sums) == set(task.trained)
    nll = negative_log_likelihood(outputs(0, 2, 4).logits, targets).mean()
    assert float(loss) > nll + 1
    measures = task.measures({name: sums[name] for name in task.trained})
    np.testing.assert_allclose([measures["loss"], measures["perplexity"]], [loss, math.exp(nll)], rtol=1e-5)
    np.testing.assert_allclose(reward(task.score, sums), -math.exp(nll), rtol=1e-5)  # more is better
    assert not task.score.more and "nll" not in measures


def test_an_epoch_without_words_has_no_measures_and_a_hopeless_one_no_limit():
    task = language()
    assert task.measures({"loss": (0.0, 0), "perplexity": (0.0, 0)}) == {}
    assert task.measures({"loss": (1e4, 1), "perplexity": (1.0, 1)})["perplexity"] == math.inf


def test_what_a_reader_and_a_network_must_know():
    task = language()
    assert task.shape == (100, (4,), 100)
    assert task.note == (
        "counts; the alphas are trained on the official validation part, so search.valid_portion is not used"
    )
    assert language(stage="retrain").note == "counts"
    record = json.loads(json.dumps(task.described()))
    assert record["vocabulary"] == list(VOCABULARY) and (record["train"], record["valid"], record["test"]) == (
        100,
        50,
        23,
    )
    other = replace(text(), train=text().train[::-1].copy())
    assert language(other).described()["crc32"] != record["crc32"]
    assert task.sizes == "counted: 100 words for the weights, 50 for the alphas"
    assert language(stage="retrain").sizes == "counted (100 words)"


def bind(data, stage="search", **plan):
    plan = SearchConfig(**plan) if stage == "search" else RetrainConfig(**plan)
    config = Config(**{stage: plan})
    return find.resolve("task", "language:bptt=4,tar=0.5")(data, plan, config, stage)


def test_binding_gives_the_settings_and_leaves_the_plan():
    task, plan = bind(text(), batch_size=25)
    assert (task.bptt, task.ar, task.tar, task.stage) == (4, 0.0, 0.5, "search")
    assert plan == SearchConfig(batch_size=25)
    assert bind(text(valid=2), "retrain", batch_size=50)[0].stage == "retrain"  # it trains on the other part alone


def test_what_cannot_be_trained_is_refused():
    image = Dataset("dots", *[np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1], np.int32)] * 2, ("a", "b"))
    for call, says in (
        (lambda: bind(image), "The task 'language' needs a text, not 'dots'"),
        (lambda: bind(text(), batch_size=26), "search.batch_size is 26, but the valid part of 'counted' has 50 words"),
        (lambda: bind(text(), batch_size=51), "the train part of 'counted' has 100 words: choose at most 50"),
        (lambda: bind(text(), "retrain", batch_size=51), "retrain.batch_size is 51"),
        (lambda: bind(text(), batch_size=25, inner_steps=3), "search.inner_steps is 3, each with 25 columns"),
    ):
        with pytest.raises(UserError, match=says):
            call()
    with pytest.raises(UserError, match="computes in the type of the weights"):
        find.resolve("task", "language")(text(), SearchConfig(), Config(dtype="bfloat16"), "search")


def test_networks_without_states_have_none_that_are_regularised():
    usual = Language(text=text(), bptt=4)
    found, logits = usual.stateless(), outputs(0, 2, 4).logits
    batch = Batch(jnp.zeros((2, 4), jnp.int32), jnp.ones((2, 4), jnp.int32))
    assert usual.tar > 0
    loss, _ = found.pure.loss(Outputs(logits), batch)
    np.testing.assert_allclose(loss, negative_log_likelihood(logits, batch.targets).mean(), rtol=1e-6)
    members, weighed = jnp.stack([logits, 2 * logits]), batch._replace(weights=jnp.ones((2, 4)))
    loss, sums = found.pure.loss(Outputs(members), weighed)
    both = [negative_log_likelihood(one, batch.targets).mean() for one in members]
    np.testing.assert_allclose([loss, sums["nll"][0] / 8], [sum(both), both[0]], rtol=1e-6)
    for settings in ({"ar": 0.5}, {"tar": 0.5}):
        with pytest.raises(UserError, match="'ar' and 'tar' of task 'language' regularise the states of recurrent"):
            language(**settings).stateless()


def test_a_text_is_given_as_it_is():
    data = text()
    assert load(data) is data


def characters():
    parts = (np.arange(n, dtype=np.int32) % 4 for n in (60, 30, 30))
    return Text("letters", *parts, ("a", " ", "\n", "<unk>"), characters=True)


def test_characters_are_told_in_bits():
    sums = {"loss": (np.float64(30 * math.log(8)), 30), "perplexity": (0.0, 30)}
    found = language(characters()).measures(sums)
    assert found["bits_per_character"] == pytest.approx(3) and found["perplexity"] == pytest.approx(8)
    assert "bits_per_character" not in language().measures(sums) and not language(characters()).measures({})
    task = language(characters())
    assert task.sizes == "letters: 60 characters for the weights, 30 for the alphas"
    assert task.described()["tokens"] == "characters" and "tokens" not in language().described()
    assert [one.tolist() for one in task.tokens(["a \r\nz", b" "])] == [[0, 1, 2, 3], [1]]
    assert task.written(np.array([0, 1, 0, 2, 0])) == "a a\na"


def test_written_words_have_lines():
    task = language(Text("lines", *[np.arange(3, dtype=np.int32)] * 3, ("a", "<eos>", "b")))
    assert task.written(np.array([0, 2, 1, 0, 1, 1])) == "a b\na\n\n"
    assert task.written(np.array([1, 0, 1, 1, 2])) == "\na\n\nb"


def test_words_are_drawn_by_their_probability():
    choose = language(characters()).chooser(np.random.default_rng(0))
    drawn = [choose(np.log([0.1, 0.5, 1e-30, 0.4])) for _ in range(200)]
    assert {*drawn} == {0, 1} and 0.7 < np.mean(drawn) < 0.95  # 5 of 6, as what is unknown is no character
