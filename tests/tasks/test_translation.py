"""Translation as a task: parts, tokens of both sides, batches, what padding must not change, and refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.config import Config
from dnas.data._pairs import Lines, of_lines
from dnas.data._tokeniser import PADDING, UNKNOWN
from dnas.errors import UserError
from dnas.nets.layers import Outputs
from dnas.tasks.task import Answering, Writing
from dnas.tasks.translation import BEGIN, END, task
from dnas.tasks.translation_scores import scores_of
from dnas.types import Batch

CONFIG = Config(space="transformer:reads=both,size=tiny", data="mine")
SEARCH = replace(CONFIG.search, batch_size=4)
RETRAIN = replace(CONFIG.retrain, batch_size=4)
COLOURS = ("red", "green", "blue", "round", "flat")


def lines(count, part):
    sources = [" ".join([f"{part}{i}", *COLOURS[: 1 + i % 4]]) for i in range(count)]
    targets = [" ".join(reversed(text.upper().split())) for text in sources]
    places = tuple((f"line {i} of {part}.en", f"line {i} of {part}.de") for i in range(1, count + 1))
    return Lines(tuple(sources), tuple(targets), places)


def data(valid=True):
    parts = {"train": lines(20, "train"), "test": lines(6, "test")} | ({"valid": lines(8, "valid")} if valid else {})
    return of_lines("mine", parts)


def bound(dataset=None, stage="retrain", plan=None, config=CONFIG, **settings):
    plan = (SEARCH if stage == "search" else RETRAIN) if plan is None else plan
    return task(**{"max_length": 5, "tokens": "words"} | settings)(dataset or data(), plan, config, stage)[0]


def test_parts_of_a_stage():
    search, training = bound(stage="search"), bound()
    assert {part: len(x) for part, (x, _) in search.parts.items()} == {"train": 20, "valid": 8}
    assert {part: len(x) for part, (x, _) in training.parts.items()} == {"train": 20, "valid": 8, "test": 6}
    assert "official validation part" in search.note and not training.note
    assert search.sizes == "mine: 20 pairs for the weights, 8 for the alphas"
    assert training.shape == (4 + 20 + 4, (5,), 4 + 20 + 4) and training.longest == 6
    assert isinstance(training, Writing) and not isinstance(training, Answering)
    assert training.steps("train", 8) == 3 and search.steps("test", 8) == 0


def test_a_validation_part_is_split_off_by_the_seed():
    pairs = data(valid=False)
    first, again = bound(pairs, "search"), bound(pairs, "search")
    other = bound(pairs, "search", config=replace(CONFIG, seed=1))
    assert {part: len(x) for part, (x, _) in first.parts.items()} == {"train": 10, "valid": 10} and not first.note
    assert first.described()["crc32"] == again.described()["crc32"] != other.described()["crc32"]
    some = bound(pairs, plan=replace(RETRAIN, valid_portion=0.25))
    assert {part: len(x) for part, (x, _) in some.parts.items()} == {"train": 15, "valid": 5, "test": 6}
    assert len(some.lines["valid"].targets) == 5


def test_tokens_of_both_sides_are_those_of_the_train_part():
    found = bound()
    source, target = found.parts["train"]
    assert source.shape == (20, 5) and target.shape == (20, 7) and (target[:, 0] == BEGIN).all()
    words = [found.target_tokeniser.text(row[(row != PADDING) & (row > END)]) for row in target]
    assert tuple(words) == found.pairs.train.targets
    assert all(row[row != PADDING][-1] == END for row in target)
    assert (found.parts["test"][0][:, 0] == UNKNOWN).all() and not (source == UNKNOWN).any()
    assert found.inputs(["red <s> </s> <pad> odd"])[0].tolist()[1:] == [UNKNOWN] * 4
    kept = replace(data(), tokenisers=tuple(found.described()["tokenisers"]))
    again = bound(kept, tokens="bpe")
    assert again.described()["tokenisers"] == found.described()["tokenisers"]
    with pytest.raises(UserError, match="data.json is damaged"):
        bound(replace(data(), tokenisers=("{}", "{}")))


def test_both_may_share_tokens():
    apart, shared = bound(lower=True), bound(lower=True, shared=True)
    assert shared.tokeniser is shared.target_tokeniser and apart.tokeniser is not apart.target_tokeniser
    both = shared.parts["train"]
    assert {*both[0].ravel()} - {PADDING} == {*both[1].ravel()} - {PADDING, BEGIN, END}
    assert bound(shared=True).shape.vocabulary == 4 + 2 * (20 + 4)


def test_batches_are_forced():
    found = bound()
    order = found.order(jax.random.key(0), found.arrays("train"), 24)
    batch = found.batch(found.arrays("train"), order, jnp.array(1), 4, jax.random.key(1))
    (source, before), after = batch.inputs, batch.targets
    assert source.shape == (4, 5) and before.shape == after.shape == batch.weights.shape == (4, 6)
    np.testing.assert_array_equal(before[:, 1:], after[:, :-1])
    np.testing.assert_array_equal(batch.weights, after != PADDING)
    np.testing.assert_array_equal(source, found.parts["train"][0][order[4:8]])
    many = bound(of_lines("mine", dict.fromkeys(("train", "test"), lines(700, "train"))))
    rows, constants = many.evaluation("test")
    assert rows[0].shape == (2, 585, 5) and rows[2].sum() == 700
    last = many.evaluation_batch(jax.tree.map(lambda leaf: leaf[1], rows), constants)
    assert last.weights[:115].any(1).all() and not last.weights[115:].any()


def logits_of(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_padding_changes_no_loss_and_no_measure():
    short, long = bound(), bound(max_length=9)
    every = [
        one.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], one.evaluation("test")[0]), ()) for one in (short, long)
    ]
    logits = logits_of((6, 10, 28))
    found = [short.evaluate(Outputs(logits[:, : batch.targets.shape[1]]), batch) for batch in every]
    smooth = bound(plan=replace(RETRAIN, label_smoothing=0.1))
    losses = [smooth.loss(Outputs(logits[:, : batch.targets.shape[1]]), batch)[0] for batch in every]
    for name in short.measured:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-6)
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert found[0]["loss"][1] == sum(len(text.split()) + 1 for text in data().test.targets)


def test_loss_and_measures():
    logits, targets = logits_of((2, 3, 6)), jnp.array([[4, 5, END], [5, END, PADDING]])
    batch = Batch((), targets, targets != PADDING)
    rows = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    nll = float((rows * batch.weights).sum()) / 5
    plain, smooth = bound(), bound(plan=replace(RETRAIN, label_smoothing=0.2))
    loss, sums = plain.loss(Outputs(logits), batch)
    assert float(loss) == pytest.approx(nll, rel=1e-6) and set(sums) == set(plain.trained)
    spread = -(jax.nn.log_softmax(logits).mean(-1) * batch.weights).sum() / 5
    loss, sums = smooth.loss(Outputs(logits), batch)
    assert float(loss) == pytest.approx(0.8 * nll + 0.2 * float(spread), rel=1e-6)
    measures = smooth.measures(sums)
    assert measures["perplexity"] == pytest.approx(np.exp(nll), rel=1e-6)  # not smoothed
    right = ((logits.argmax(-1) == targets) & batch.weights).sum() / 5
    assert measures["accuracy"] == pytest.approx(float(right))
    members = jnp.stack([logits, logits_of((2, 3, 6), 1)])
    both, first = plain.loss(members, batch)
    assert float(both) == pytest.approx(sum(float(plain.loss(one, batch)[0]) for one in members), rel=1e-6)
    assert float(first["nll"][0]) == pytest.approx(5 * nll, rel=1e-6)


def test_what_is_longer_is_cut_with_a_note_or_refused():
    found = bound(max_length=3)
    assert "of 10 of 20 train source texts only the first 3 tokens are read" in found.note
    assert "of 2 of 6 test target texts only the first 3 tokens are read" in found.note
    target = found.parts["train"][1]
    cut = target[[len(text.split()) > 3 for text in data().train.targets]]
    assert target.shape == (20, 5) and not (cut[:, :4] == END).any()
    with pytest.raises(UserError, match="Cannot read line 3 of train.en: it has 4 tokens, and the task takes 3"):
        bound(max_length=3, longer="refuse")
    with pytest.raises(UserError, match="Cannot read text 2: it has 6 tokens"):
        bound(longer="refuse").inputs(["red", "red " * 6])
    assert bound().inputs(["red " * 6]).shape == (1, 5)


def test_what_was_written_is_scored():
    found = bound(tokens="bpe", vocabulary=60)
    _, target = found.parts["test"]
    whole = bound(of_lines("mine", dict.fromkeys(("train", "test"), lines(6, "train"))), max_length=30, tokens="bpe")
    texts = [whole.text(row[1:]) for row in whole.parts["test"][1]]
    assert tuple(texts) == whole.lines["test"].targets
    scores, signatures = whole.scored(texts, "test")
    assert scores == {"bleu": pytest.approx(100), "chrf": pytest.approx(100)}
    assert "tok:13a" in signatures["bleu"] and "version:" in signatures["chrf"]
    tokenised = replace(whole, pairs=replace(whole.pairs, tokenised=True), lower=True)
    assert "tok:none" in tokenised.scored(texts, "test")[1]["bleu"]
    assert "case:lc" in tokenised.scored(texts, "test")[1]["bleu"]
    assert found.scored(["RED"] * 6, "test")[0]["bleu"] < 50 and (target[:, 0] == BEGIN).all()


def test_bleu_is_the_known_one():
    scores, _ = scores_of(["the cat sat on the mat"], ["the cat sat on a mat"], tokenised=True, lower=False)
    shares = (5 / 6, 3 / 5, 2 / 4, 1 / 3)  # n-grams that are there, no brevity penalty
    assert scores["bleu"] == pytest.approx(100 * np.prod(shares) ** 0.25)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"plan": replace(RETRAIN, batch_size=40)}, "the train part of 'mine' has 20 pairs: choose a batch"),
        ({"plan": replace(RETRAIN, valid_portion=0.1)}, "'mine' has a validation part of its own"),
        ({"config": replace(CONFIG, dtype="bfloat16")}, "set dtype to 'float32'"),
        ({"longer": "wrap"}, "Unknown value of setting 'longer'"),
        ({"tokens": "letters"}, "Unknown kind of tokens"),
        (
            {"dataset": data(valid=False), "stage": "search", "plan": replace(SEARCH, valid_portion=0)},
            "score on validation pairs",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        bound(**change)


def test_other_data_are_refused():
    class Other:
        name = "wine"

    with pytest.raises(UserError, match="texts with their translations, such as 'multi30k'.*not 'wine'"):
        bound(Other())
