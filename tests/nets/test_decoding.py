"""Decoders word by word, with what their layers keep, against the whole text read again for every word."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.loading import texts
from dnas.nets.beam import beam_search
from dnas.nets.functional import Functional
from dnas.nets.transformer_pairs import parted

LENGTH, VOCABULARY, SENTENCES, BEAM = 7, 11, 3, 3
OPTIONS = "widths=6+8,depths=1+2,heads=1+2,ratios=1+2,feed_forwards=relu+gated,mixers=attention+convolution+both"
SPACE = f"{OPTIONS},norms=pre+post,head=4,distance=2,dropout=0"
HAT = "size=hat_tiny,dropout=0"


@pytest.fixture(scope="module", autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def supernet(reads, random, settings=SPACE, deviation=0.4):
    """A supernet in float64, and a mix for it."""
    space = find.resolve("space", f"transformer:reads={reads},{settings}")
    size = NetworkSize(cells=1, channels=8, classes=VOCABULARY, vocabulary=VOCABULARY)
    made = space.supernet(space, size, rngs=nnx.Rngs(0))
    layout, state = nnx.split(made)

    def drawn(leaf):
        words = leaf.ndim == 2 and len(leaf) == VOCABULARY  # far apart, so that what is read makes a difference
        return jnp.asarray(random.normal(size=leaf.shape) * (1.5 if words else deviation))

    leaves = jax.tree.map(drawn, nnx.as_pure(state))
    mix = {kind: jnp.asarray(random.dirichlet(np.ones(shape[1]), shape[0])) for kind, shape in space.mix_shapes.items()}
    return nnx.view(nnx.merge(layout, leaves), use_running_average=True), mix


@pytest.mark.parametrize(("settings", "seed", "deviation"), [(SPACE, 0, 0.4), (HAT, 4, 1.0)], ids=["usual", "hat"])
def test_beam_search_finds_the_same(settings, seed, deviation):
    network, mix = supernet("both", np.random.default_rng(seed), settings, deviation)
    source = np.array([[4, 5, 6, 7, 0], [8, 0, 0, 0, 0], [4, 9, 10, 0, 0]], np.int32)
    own, other = parted(mix)
    body = network.body
    memory, shown = body.encoded(source, own)
    memory, shown = (jnp.repeat(one, BEAM, 0) for one in (memory, shown))
    looked = body.decoder.keys_and_values(memory, other)

    def cached(token, number, past):
        return body.decoder.step(token, other, past, number, LENGTH, looked, shown)

    def again(token, number, tokens):
        tokens = tokens.at[:, number].set(token)
        return body.written(tokens, memory, shown, other)[:, number], tokens

    def found(step, past):
        settings = {"beam": BEAM, "length": LENGTH, "begin": 2, "end": 3, "penalty": 2.0, "dtype": jnp.float64}

        def unlike(token, number, past):  # the output is tied to the embedding, so that all would say one word
            logits, past = step(token, number, past)
            return logits.at[jnp.arange(len(token)), token].add(-20.0), past

        return jax.jit(lambda past: beam_search(unlike, past, SENTENCES, **settings))(past)

    kept = found(cached, body.decoder.past(SENTENCES * BEAM, LENGTH))
    whole = found(again, jnp.zeros((SENTENCES * BEAM, LENGTH), jnp.int32))
    np.testing.assert_array_equal(kept.tokens, whole.tokens)
    np.testing.assert_allclose(kept.scores, whole.scores, rtol=0, atol=1e-10)
    assert len(np.unique(kept.tokens)) > 2 and np.ptp(kept.scores) > 1e-2, "texts too alike to tell anything"


def test_a_language_model_writes_the_same():
    random = np.random.default_rng(1)
    network, mix = supernet("decoder", random)
    nothing = Functional(lambda key: ((), ()), lambda *args, **settings: None)
    stepper = texts.stepper(nothing, ((), (), ()), network, (mix,), LENGTH)
    text, heard = random.integers(0, VOCABULARY, 4), []

    def choose(logs):
        heard.append(logs)
        return int(logs.argmax())

    words = [*text, *texts.continued(stepper, text, 9, choose)]
    read = jax.jit(lambda tokens: jax.nn.log_softmax(network(tokens, mix).logits))
    for number, logs in enumerate(heard, len(text)):
        start = (number - 1) // LENGTH * LENGTH  # of the piece that the word before stands in
        piece = np.zeros((1, LENGTH), np.int32)
        piece[0, : number - start] = words[start:number]
        np.testing.assert_allclose(logs, read(piece)[0, number - 1 - start], rtol=0, atol=1e-10)
