"""The benchmark's texts: our side and its twin in PyTorch are one network, to rounding; what their rows say."""

from argparse import Namespace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DENSE = ("attention.project", "convolution.enter", "convolution.leave")
DENSE += tuple(f"feed_forward.{name}" for name in ("enter", "gate", "leave"))


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def options(work):
    sizes = {"cells": 1 if work == "rnn" else 2, "channels": 8, "nodes": 3, "batch": 4, "tokens": 6}
    return Namespace(work=work, **sizes, variant=None, dtype="float32", seeds=1, remat=False, unroll=False)


def of_recurrent(weights):
    """Our weights by their names in the twin."""
    own = weights["backbone"]
    found = {"embedding.weight": own["embedding"], "decoder.weight": own["embedding"], "decoder.bias": own["bias"]}
    cell = {f"cell.weights.{node}": leaf for node, leaf in enumerate(own["cell"]["weights"])}
    return found | cell | {"first": own["first"]}


def of_transformer(weights):
    own = weights["body"]
    found = {"embedding.weight": own["front"]["embedding"]}
    found |= {"norm.scale": own["norm"]["scale"], "norm.bias": own["norm"]["bias"]}
    if "bias" in own:
        found |= {"head.weight": own["front"]["embedding"], "head.bias": own["bias"]}
    else:
        found |= {"head.weight": own["classifier"]["kernel"].T, "head.bias": own["classifier"]["bias"]}
    for number, layer in own["layers"].items():
        attention = layer["attention"]
        named = {"attention.qkv.weight": attention["qkv"].reshape(len(attention["qkv"]), -1).T}
        named |= {"attention.qkv.bias": attention["bias"]}
        named |= {f"attention.{name}": attention[name]["tables"][0] for name in ("keys", "values") if name in attention}
        named |= {"convolution.over_time.weight": layer["convolution"]["kernel"].T[:, None]}
        for part in DENSE:
            outer, inner = part.split(".")
            named |= {f"{part}.weight": layer[outer][inner]["kernel"].T, f"{part}.bias": layer[outer][inner]["bias"]}
        for norm in ("mixer_norm", "feed_forward_norm"):
            named |= {f"{norm}.{leaf}": layer[norm][leaf] for leaf in ("scale", "bias")}
        found |= {f"layers.{number}.{name}": leaf for name, leaf in named.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("work", ["rnn", "transformer", "transformer-lm"])
def test_both_sides_are_one_network(work):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'dnas[bench]'")
    import ours
    import torch_baseline

    given, recurrent = options(work), work == "rnn"
    space, network, _ = ours.searched(given)
    weights, stats = network.init(jax.random.key(0))
    mix = {
        kind: jax.nn.softmax(jax.random.normal(jax.random.key(number), shape))
        for number, (kind, shape) in enumerate(space.mix_shapes.items())
    }
    tokens = ours.batches(given)[0].inputs
    if work == "transformer":
        tokens[1:, 4:] = 0  # padding
    output, _ = network.apply(weights, stats, jnp.asarray(tokens), mix, train=recurrent)
    logits = np.asarray(output[0].logits if recurrent else getattr(output, "logits", output))

    twin = torch_baseline.text_supernet(given).eval()
    named = (of_recurrent if recurrent else of_transformer)(weights)
    assert {name for name, _ in twin.named_parameters(remove_duplicate=False)} == set(named)
    assert sum(p.numel() for p in twin.parameters()) == sum(leaf.size for leaf in jax.tree.leaves(weights))
    twin.load_state_dict({name: torch.tensor(np.asarray(leaf)) for name, leaf in named.items()}, strict=False)
    assert {kind: tuple(shape) for kind, shape in twin.mix_shapes.items()} == dict(space.mix_shapes)
    rows = {kind: torch.tensor(np.asarray(row)) for kind, row in mix.items()}
    with torch.no_grad():
        if recurrent:
            twin.cell.norm.train()
            theirs = twin(torch.tensor(tokens), torch.zeros(given.batch, given.channels), rows).logits
        else:
            theirs = twin(torch.tensor(tokens), rows)
    np.testing.assert_allclose(logits, theirs.numpy(), rtol=1e-3, atol=2e-5)


def test_a_row_of_texts_compares_their_variants_and_twice_the_tokens(monkeypatch, capsys):
    import targets
    import turns

    def measured(named, *_):
        seconds = {"torch-eager": 4.0, "torch-compile": 2.0}
        return {
            name: {"median_seconds": seconds.get(name, setting.tokens / 20), "parameters": len(name) // 8}
            | {"cold_seconds": 1.0, "peak_mb": 1.0, "spread": (1, 2), setting.rate: 5.0}
            for name, setting in named.items()
        }, {}

    monkeypatch.setattr(turns, "measure", measured)
    setting = turns.Setting("rnn", 1, 8, 4, tokens=20, ratio=0.8, twice=2.2)
    assert setting.read == 2 * 4 * 20 and "20 tokens" in str(setting)
    row = turns.compare(setting, ("channels_last", "eager", "compile"), Namespace())
    assert list(row["sides"]) == ["ours", turns.TWICE, "torch-eager", "torch-compile"]
    assert (row["ratio"], row["best"]) == (0.5, "torch-compile")
    assert "not the same network" in capsys.readouterr().err
    said = {verdict.what.partition(": ")[2]: (verdict.value, verdict.said) for verdict in targets.verdicts([row])}
    assert said["step with twice the tokens, to the step"] == (2.0, "met")
    assert said["step, ratio to the best of PyTorch"] == (0.5, "met")
    targets.show([row])
    assert "rnn 1x8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"work": "rnn"}, "The work 'rnn' has one cell, not 8"),
        ({"work": "transformer", "channels": 6}, "divides its channels by 4, and they are 6"),
        ({"work": "transformer", "dtype": "bfloat16"}, "is computed in float32, not bfloat16"),
        ({"work": "rnn", "variant": "nchw"}, "has no variant 'nchw': choose of eager, compile"),
        ({"work": "fbnet", "variant": "eager"}, "has no variant 'eager': choose of channels_last, nchw, compile"),
    ],
)
def test_what_a_side_has_not_is_refused(changes, said):
    from sides import refused

    plain = {"work": "fbnet", "cells": 8, "channels": 16, "dtype": "float32", "variant": None}
    assert refused(Namespace(**plain)) is None
    assert said in str(refused(Namespace(**plain | changes)))
