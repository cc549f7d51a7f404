"""What holds for every proxy: a new file is tested without an edit here. Then what single ones are known for."""

import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import dnas.proxies
from dnas import find
from dnas.architectures.encoding import decode, encode, every
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.nets.functional import Deferred
from dnas.proxies import epe_nas
from dnas.proxies.jacobian import correlations
from dnas.proxies.nwot import agreement
from dnas.proxies.protocol import Evidence, derived, one_path, scorer
from dnas.proxies.relus import summed
from dnas.types import Batch

PROXIES = list(find.described("proxy"))
OWN_DRAWS = {"zen", "linear_regions"}  # what draws weights of its own draws those of all operations of a supernet
SPACE = find.resolve("space", "nasbench201:nodes=3,operations=none+skip_connect+nor_conv_3x3")
KEEPS = find.resolve("space", "darts:nodes=2,operations=none+max_pool_3x3+skip_connect+sep_conv_3x3")
SIZE = NetworkSize(1, 4, 3)
RANDOM = np.random.default_rng(0)
BATCH = Batch(jnp.asarray(RANDOM.normal(size=(6, 8, 8, 3)), jnp.float32), jnp.arange(6) % 3)
CHOSEN = np.array([2, 1, 2])  # a convolution, which has two copies on edges from the input, and an identity


def mix_of(genotype, space):
    return jax.tree.map(jnp.asarray, as_mix(genotype, space))


@cache
def of_paths():
    """The subject of all architectures of `SPACE`, its weights and statistics, and the scores of one path."""
    subject = one_path(SPACE, SIZE, 8)
    score = jax.jit(scorer(subject, {name: find.resolve("proxy", name) for name in PROXIES}))
    state = jax.jit(subject.network.init)(jax.random.key(0))
    return subject, state, score(*state, BATCH, jax.random.key(1), mix_of(decode(CHOSEN, SPACE), SPACE))


def of_derived(supernet, weights):
    """The subject of the derived network, and its weights, taken from those of the supernet."""
    subject = derived(decode(CHOSEN, SPACE), SPACE, SIZE, 8)
    empty, stats = jax.jit(subject.network.init)(jax.random.key(0))
    stages = supernet.build(Deferred(params=jax.random.key(0))).backbone.stages
    theirs, ours = flatten_dict(weights), {}
    for path in flatten_dict(empty):
        if path[:2] != ("backbone", "stages"):
            ours[path] = theirs[path]
            continue
        stage, edge, inside = path[2], path[4], path[5:]
        for number, candidate in enumerate(stages[stage].candidates):
            if edge in candidate.edges and candidate.columns[0] == CHOSEN[edge]:
                copies = theirs[*path[:3], "candidates", number, "operation", *inside]
                ours[path] = copies[:, candidate.edges.index(edge)]
    return subject, unflatten_dict(ours), stats


@pytest.mark.slow
def test_a_path_of_the_supernet_scores_as_the_derived_network():
    supernet, (weights, _), expected = of_paths()
    subject, *state = of_derived(supernet, weights)
    names = [name for name in PROXIES if name not in OWN_DRAWS]
    score = jax.jit(scorer(subject, {name: find.resolve("proxy", name) for name in names}))
    for name, found in score(*state, BATCH, jax.random.key(1)).items():
        assert np.isfinite(found.value), name
        assert float(found.value) == pytest.approx(float(expected[name].value), rel=1e-3, abs=1e-3), name


@pytest.mark.slow
def test_what_flows_into_a_network_flows_out_of_it():
    """SynFlow: of layers that everything passes through, each has the same sum (Tanaka et al. 2020, theorem 1)."""
    parts = of_paths()[2]["synflow"].parts
    first, last = parts["backbone", "stem", "layers", 0, "kernel"], parts["backbone", "classifier", "kernel"]
    assert float(first.sum()) == pytest.approx(float(last.sum()), rel=1e-4)


@pytest.mark.slow
def test_gates_change_nothing_and_are_what_channels_are_worth():
    """Of a network with separable convolutions: the loss falls with a gate as Fisher's product says."""
    with jax.enable_x64(True):
        subject = derived(random(KEEPS, 1), KEEPS, NetworkSize(2, 4, 3), 8)
        weights, stats = jax.jit(subject.network.init)(jax.random.key(0))
        batch = Batch(BATCH.inputs.astype(float), BATCH.targets)
        path = next(path for path in subject.kernels if path[-1] == "depthwise")

        @jax.jit
        def losses(step):
            evidence = Evidence(subject, weights, stats, batch, jax.random.key(0))
            gates = {
                path: jnp.ones((*kernel.lead, len(batch.inputs), kernel.shape[-1]))
                for path, kernel in subject.kernels.items()
            }
            moved = gates | {path: gates[path].at[..., 2, 1].add(step)}
            plain = evidence.loss(evidence.kernels, batch)
            with_gates = (evidence.loss(evidence.kernels, batch, some) for some in (gates, moved))
            return plain, *with_gates, evidence.gradient.channels[0][path][..., 2, 1].sum(), evidence.used

        *numbers, used = losses(1e-6)
        plain, same, moved, slope = map(float, numbers)
        assert all(float(leaf.min()) == 1 for leaf in used.values())
    assert same == pytest.approx(plain, rel=1e-12)
    assert (moved - same) / 1e-6 == pytest.approx(slope, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("space", [SPACE, KEEPS], ids=lambda space: space.name)
def test_costs_of_a_path_are_those_of_the_derived_network(space):
    size = NetworkSize(3, 4, 3)
    subject = one_path(space, size, 8)
    for seed in range(3):
        genotype = random(space, seed)
        expected, found = count(genotype, space, size, 8), subject.costs(mix_of(genotype, space))
        assert (float(found.parameters), float(found.multiply_adds)) == expected[::2]


def test_relus_are_found_in_scans_branches_and_calls():
    @jax.checkpoint
    def block(x):
        return jax.nn.relu(x - 1)

    def function(x, which):
        x, rows = jax.lax.scan(lambda c, w: (jax.nn.relu(w * c), c.sum()), x, jnp.array([1.0, -1.0, 0.5]))
        y = jax.lax.switch(which, [jnp.sin, lambda x: jax.jit(jax.nn.relu)(x) + 1], x)
        return block(y), rows, jnp.maximum(x, 0.5)

    x = jnp.array([[1.0, -2.0], [3.0, 0.5]])
    for which, branch in ((0, 0.0), (1, 1.0)):
        seen = [x, -np.maximum(x, 0), 0 * x]  # what the scan's ReLUs get
        expected = sum(np.asarray(agreement(s)) for s in seen) + branch * agreement(0 * x)
        outputs, total = jax.jit(summed(function, agreement, jnp.zeros((2, 2))))(x, which)
        expected += agreement((jnp.sin(0 * x) if which == 0 else 0 * x + 1) - 1)
        np.testing.assert_array_equal(total, expected)
        jax.tree.map(np.testing.assert_allclose, outputs, function(x, which))


def test_a_network_without_a_relu_has_no_patterns():
    with pytest.raises(UserError, match="has no ReLU"):
        summed(jnp.tanh, agreement, jnp.zeros((2, 2)))(jnp.ones((2, 3)))


def test_classes_are_compared_as_in_numpy():
    jacobian, labels = RANDOM.normal(size=(9, 20)), np.array([4, 1, 1, 4, 4, 2, 1, 0, 0])
    sums = {c: np.log(np.abs(np.corrcoef(jacobian[labels == c])) + 1e-5) for c in (0, 1, 4)}
    found = epe_nas.expressiveness(jnp.asarray(jacobian), jnp.asarray(labels), 10)
    assert float(found.value) == pytest.approx(sum(abs(s.sum()) for s in sums.values()) + np.log(1 + 1e-5), rel=1e-3)
    means = [s.sum() / len(s) for s in sums.values()]
    found = epe_nas.expressiveness(jnp.asarray(jacobian), jnp.asarray(labels), 101)
    assert float(found.value) == pytest.approx(sum(abs(a - b) for a in means for b in means) / 3, rel=1e-3)
    np.testing.assert_allclose(correlations(jnp.asarray(jacobian)), np.corrcoef(jacobian), atol=1e-5)


def test_what_has_weights_of_no_known_layer_is_refused(monkeypatch):
    from dnas.proxies import watched

    monkeypatch.delitem(watched.RANKS, watched.Linear)
    with pytest.raises(UserError, match="'backbone.classifier.kernel' are of no convolution"):
        assert derived(next(every(SPACE)), SPACE, SIZE, 8).kernels


def test_a_batch_has_at_least_as_many_images_as_parts():
    subject = derived(decode(encode(next(every(SPACE)), SPACE), SPACE), SPACE, SIZE, 8)
    with pytest.raises(UserError, match="6 images cannot be cut into 7 parts"):
        assert Evidence(subject.__class__(subject.build, subject.costs, parts=7), {}, {}, BATCH, None).batches


def test_a_proxy_is_a_file(tmp_path, monkeypatch):
    """The example of the manual."""
    manual = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    example = re.search(r"\*\*A proxy\*\*.*?```python\n(.*?)```", manual, re.DOTALL)
    assert example is not None
    (tmp_path / "margin.py").write_text(example[1])
    monkeypatch.setattr(dnas.proxies, "__path__", [*dnas.proxies.__path__, str(tmp_path)])
    logits = jnp.array([[3.0, 1.0, 0.5], [0.0, 4.0, 3.0]])
    try:
        measure = find.resolve("proxy", "margin")(None)
    finally:
        sys.modules.pop("dnas.proxies.margin", None)
    found = measure(SimpleNamespace(batch=Batch(None, None), logits=lambda images: logits))
    assert float(found.value) == 1.5
