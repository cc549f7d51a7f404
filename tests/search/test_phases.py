"""Between two phases: what is pruned, what is carried over, what begins anew, and runs that stop in the middle."""

import dataclasses
import importlib
import os
import re
import shutil
import signal
from contextlib import contextmanager
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.search
from dnas import find, interop
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.runs import checkpoints, loop, records
from dnas.search import job as job_module
from dnas.search import phases, relax
from dnas.search.bilevel import make_search
from dnas.search.method import Method, Phase
from dnas.search.stage import Stage
from dnas.search.supernets import partial_channels
from dnas.spaces import darts, nasbench201
from dnas.tasks.classification import Classification

run = importlib.import_module("dnas.search.run")  # the package has a function of this name

# Pruning


def test_pruning_keeps_the_best_and_ties_go_to_the_lower_operation():
    space = nasbench201.space(nodes=2, operations="none+skip_connect+nor_conv_1x1+avg_pool_3x3")
    pruned = phases.prune(space, {"cell": np.array([[[0.1, 0.3, 0.3, 0.3]]])}, 2)
    assert pruned.space.cells["cell"].operations == (("skip_connect", "nor_conv_1x1"),)
    np.testing.assert_array_equal(pruned.columns["cell"], [[1, 2]])
    np.testing.assert_array_equal(pruned.mask["cell"], [[[1, 1]]])


def test_several_seeds_share_what_any_of_them_keeps():
    space = nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1")
    mixes = np.array([[[3, 2, 1], [3, 2, 1], [1, 2, 3]], [[3, 1, 2], [3, 2, 1], [3, 2, 1]]]) / 6
    pruned = phases.prune(space, {"cell": mixes}, 2)
    assert [len(names) for names in pruned.space.cells["cell"].operations] == [3, 2, 3]
    np.testing.assert_array_equal(pruned.columns["cell"], [[0, 1, 2], [0, 1, -1], [0, 1, 2]])
    first, second = pruned.mask["cell"]
    np.testing.assert_array_equal(first, [[1, 1, 0], [1, 1, 0], [0, 1, 1]])
    np.testing.assert_array_equal(second, [[1, 0, 1], [1, 1, 0], [1, 1, 0]])

    alphas = {"operations": {"cell": mixes}, "edges": {"cell": (np.ones((2, 1)), np.ones((2, 2)))}}
    left = phases.prune_alphas(alphas, space, pruned.columns)
    np.testing.assert_array_equal(left["operations"]["cell"][:, 1], mixes[:, 1] * [1, 1, 0])
    np.testing.assert_array_equal(left["operations"]["cell"][:, 0], mixes[:, 0])
    assert left["edges"] == alphas["edges"]


def test_a_mask_leaves_the_softmax_over_what_is_left():
    alphas = np.random.default_rng(0).normal(size=(3, 5))
    left = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1.0]])
    found = relax.masked({"cell": jax.nn.softmax(alphas)}, {"cell": jnp.asarray(left)})["cell"]
    weights = np.exp(alphas) * left
    np.testing.assert_allclose(found, weights / weights.sum(-1, keepdims=True), rtol=1e-6)


# Carrying over, on arrays that are all different

SPACE = darts.space(nodes=2, operations="none+max_pool_3x3+skip_connect+sep_conv_3x3+dil_conv_3x3")
SIZE = NetworkSize(3, 8, 3)


def prepared(space):
    def build(rngs):
        return Supernet(space, SIZE, rngs=rngs)

    return build, interop.layout(build)


def drawn(build, space, seed):
    """A state of two seeds with arrays in place of everything."""
    search = make_search(functionalize(build), space, Method(), SearchConfig(), 1, task=Classification())
    shapes = jax.eval_shape(search.init, jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.normal(size=(2, *s.shape)), shapes._replace(key=shapes.step))


def carried(parts):
    """Before and after pruning to 3 operations: spaces, supernets' names in PyTorch, states."""
    rng = np.random.default_rng(0)
    pruned = phases.prune(SPACE, {kind: rng.random((2, *shape)) for kind, shape in SPACE.mix_shapes.items()}, 3)
    spaces = [partial_channels(k)(space) for k, space in zip(parts, (SPACE, pruned.space), strict=True)]
    (old_build, old_pairs), (new_build, new_pairs) = map(prepared, spaces)
    old, fresh = drawn(old_build, spaces[0], 1), drawn(new_build, spaces[1], 2)
    new = phases.carry_over(old, fresh, (old_build, new_build), pruned, 0)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(s.weights)] for s in (new, fresh)]
    assert shapes[0] == shapes[1]
    return spaces, (old_pairs, new_pairs), (old, new)


def named(pairs, weights, stats, seed):
    return interop.to_torch(*jax.tree.map(lambda leaf: leaf[seed], (weights, stats)), pairs)


def old_name(name, spaces):
    """`cells.1._ops.4._ops.2.x` -> the same operation's name before."""
    parts = name.split(".")
    if "_ops" in parts:
        kind = "normal" if parts[1] == "0" else "reduce"
        edge = int(parts[3])
        operation = spaces[1].cells[kind].operations[edge][int(parts[5])]
        parts[5] = str(spaces[0].cells[kind].operations[edge].index(operation))
    return ".".join(parts)


def momentum(state):
    return next(part.trace for part in state.weight_opt if hasattr(part, "trace"))


def test_what_is_left_carries_weights_statistics_and_momentum_over():
    spaces, (old_pairs, new_pairs), (old, new) = carried((1, 1))
    for seed in range(2):
        for tree in (lambda state: state.weights, momentum):
            before = named(old_pairs, tree(old), old.stats, seed)
            after = named(new_pairs, tree(new), new.stats, seed)
            assert any("_ops" in name for name in after) and len(after) < len(before)
            for name, array in after.items():
                np.testing.assert_array_equal(array, before[old_name(name, spaces)], err_msg=name)
    np.testing.assert_array_equal(new.step, old.step)


def test_new_channels_are_copies_of_old_ones_the_same_throughout_an_operation():
    spaces, (old_pairs, new_pairs), (old, new) = carried((4, 2))
    before, after = (named(p, s.weights, s.stats, 1) for p, s in ((old_pairs, old), (new_pairs, new)))
    found: dict[str, dict[str, list]] = {}
    for name, array in after.items():
        source = before[old_name(name, spaces)]
        if array.shape == source.shape:
            np.testing.assert_array_equal(array, source, err_msg=name)
            continue
        index = [origin(array, source, axis) for axis in range(array.ndim)]
        np.testing.assert_array_equal(array, source[np.ix_(*index)], err_msg=name)
        operation, part = re.fullmatch(r"(cells\.\d\._ops\.\d+\._ops\.\d)\.(.*)", name).groups()
        found.setdefault(operation, {})[part] = index
    assert len(found) > 10
    reductions = 0
    for parts in found.values():
        halves = [parts.pop(f"conv_{h}.weight", None) for h in (1, 2)]
        if halves[0] is not None:  # a factorised reduction: its norm has the channels of one half, then of the other
            reductions += 1
            (even, _, *_), (odd, _, *_) = halves
            normalised = np.concatenate([even, 1 + max(even) + odd])
            assert all(np.array_equal(index[0], normalised) for index in parts.values()) and len(parts) == 2
        else:
            grown = [index for arrays in parts.values() for index in arrays if len(index) > 1 + max(index)]
            assert all(np.array_equal(index, grown[0]) for index in grown)
    assert reductions


def origin(array, source, axis):
    """Along an axis, which old slice each new one is; slices of the old sizes are compared, all of which differ."""
    cut = array[tuple(slice(None if a == axis else n) for a, n in enumerate(source.shape))]
    olds = list(np.moveaxis(source, axis, 0))
    return np.array(
        [next(i for i, o in enumerate(olds) if np.array_equal(row, o)) for row in np.moveaxis(cut, axis, 0)]
    )


@pytest.mark.slow
def test_pruned_operations_that_weighed_nothing_are_not_missed():
    space = nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1+avg_pool_3x3")
    mixes = np.random.default_rng(0).random((1, 3, 4))
    pruned = phases.prune(space, {"cell": mixes}, 2)
    kept = np.zeros_like(mixes)
    np.put_along_axis(kept, pruned.columns["cell"][None], 1, -1)
    builds = [partial(lambda s, rngs: Supernet(s, NetworkSize(1, 2, 3), rngs=rngs), s) for s in (space, pruned.space)]
    networks = [functionalize(build) for build in builds]
    searches = [
        make_search(network, s, Method(), SearchConfig(), 1, task=Classification())
        for network, s in zip(networks, (space, pruned.space), strict=True)
    ]
    states = [jax.device_get(jax.jit(s.init)(jax.random.key(i))._replace(key=0)) for i, s in enumerate(searches)]
    old, fresh = (jax.tree.map(lambda leaf: np.asarray(leaf)[None], state) for state in states)
    new = phases.carry_over(old, fresh, (builds[0], builds[1]), pruned, 0)
    x = jax.random.normal(jax.random.key(0), (4, 4, 4, 3))
    mixed = {"cell": (mixes * kept)[0]}, {"cell": np.take_along_axis(mixes[0], pruned.columns["cell"], -1)}
    for train in (True, False):
        outputs = []
        for network, state, mix in zip(networks, (old, new), mixed, strict=True):
            weights, stats = jax.tree.map(lambda leaf: leaf[0], (state.weights, state.stats))
            outputs.append(jax.jit(partial(network.apply, train=train))(weights, stats, x, mix)[0])
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)


# Settings


def test_phases_share_the_epochs_and_settings_are_checked():
    assert [share.epochs for share in phases.split(SearchConfig(epochs=50), 3)] == [16, 17, 17]
    with pytest.raises(UserError, match="search.epochs is 2, but the search has 3 phases"):
        phases.split(SearchConfig(epochs=2), 3)
    for choice, words in {
        "p_darts:keep=5": "'keep' has 1 numbers, '5', but 2 are needed",
        "p_darts:keep=5+0": "at least 1 operation",
        "p_darts:deeper=0+a+1": "whole numbers with \\+ between them",
        "p_darts:dropout=0.1+0.4+1.5": "below 1",
        "drnas:partial=6+4+2": "'keep' has 1 numbers",
        "drnas:distance=l3": "Unknown distance",
        "pc_darts:partial=0": "at least 1",
    }.items():
        with pytest.raises(UserError, match=words):
            find.resolve("method", choice)


# Whole searches

SMALL = AugmentConfig(pad=1, flip=False)
CONFIG = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1",
    method="drnas:partial=2+1,keep=2",
    data="digits:limit=120",
    search=SearchConfig(
        epochs=4, cells=1, channels=2, batch_size=20, alphas=AlphaConfig(learning_rate=0.3), augment=SMALL
    ),
)


def final_state(folder):
    steps = checkpoints.steps(folder)
    return steps, checkpoints.read_about(folder, steps[-1])["crc32"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    config = dataclasses.replace(CONFIG, seeds=2)  # so that there are masks in the second phase
    return config, dnas.search.run(config, tmp_path_factory.mktemp("phases") / "whole", quiet=True)


class Crash(Exception):
    pass


def crash():
    raise Crash


@contextmanager
def before_the_end_of(epoch, act, monkeypatch):
    """Inside, a search does this when the steps of an epoch are done, before anything is kept of it."""
    finish = job_module.Job._finish_epoch

    def acting(job, number, progress):
        if number == epoch:
            act()
        return finish(job, number, progress)

    with monkeypatch.context() as patch:
        patch.setattr(job_module.Job, "_finish_epoch", acting)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [3, 4])
def test_a_search_that_crashed_at_an_epoch_and_was_resumed_is_bit_identical(tmp_path, monkeypatch, whole, epoch):
    """The last checkpoint before: at the end of the first phase, in the second phase."""
    config, uninterrupted = whole
    with before_the_end_of(epoch, crash, monkeypatch), pytest.raises(Crash):
        dnas.search.run(config, tmp_path / "run", quiet=True)
    resumed = dnas.search.run(config, tmp_path / "run", resume=True, quiet=True)
    assert_same_run(resumed, uninterrupted)


@pytest.mark.slow
def test_a_search_that_was_stopped_in_the_middle_of_an_epoch_of_the_second_phase(tmp_path, monkeypatch, whole):
    config, uninterrupted = whole
    advanced, seen = Stage.advanced, []

    def stop(stage, progress, count):
        progress = advanced(stage, progress, np.int32(1) if stage.span.start else count)
        if stage.span.start and not seen:
            seen.append(stage.span.start)
            os.kill(os.getpid(), signal.SIGTERM)
        return progress

    with monkeypatch.context() as patch, pytest.raises(loop.Interrupted, match="Stopped at step 7 of 12"):
        patch.setattr(Stage, "advanced", stop)
        dnas.search.run(config, tmp_path / "run", quiet=True)
    assert_same_run(dnas.search.run(config, tmp_path / "run", resume=True, quiet=True), uninterrupted)


@pytest.mark.slow
def test_told_to_stop_in_the_last_steps_it_stops_before_what_follows(tmp_path, monkeypatch, whole):
    config, uninterrupted = whole
    terminate = partial(os.kill, os.getpid(), signal.SIGTERM)
    with (
        before_the_end_of(4, terminate, monkeypatch),
        pytest.raises(loop.Interrupted, match="Stopped at step 12 of 12"),
    ):
        dnas.search.run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "report.html").exists()
    assert_same_run(dnas.search.run(config, tmp_path / "run", resume=True, quiet=True), uninterrupted)


@pytest.mark.slow
def test_where_the_newest_checkpoint_is_damaged_the_phase_is_that_of_the_one_before(tmp_path, monkeypatch, whole):
    config, uninterrupted = whole
    with before_the_end_of(4, crash, monkeypatch), pytest.raises(Crash):
        dnas.search.run(config, tmp_path / "run", quiet=True)
    newest = checkpoints.path_of(tmp_path / "run", checkpoints.steps(tmp_path / "run")[-1])
    newest.write_bytes(newest.read_bytes()[:-1])
    resumed = dnas.search.run(config, tmp_path / "run", resume=True, quiet=True)
    assert list((tmp_path / "run" / "damaged").iterdir())
    assert_same_run(resumed, uninterrupted)


def assert_same_run(one, other):
    assert records.read_metrics(one.folder) == records.read_metrics(other.folder)
    assert records.read_mix(one.folder) == records.read_mix(other.folder)
    assert one.genotypes == other.genotypes
    assert final_state(one.folder) == final_state(other.folder)


def with_method(patch, method):
    resolve = find.resolve
    patch.setattr(run.find, "resolve", lambda what, text: method if what == "method" else resolve(what, text))


@pytest.fixture
def transitions(monkeypatch):
    """(state before, state after, space after) of every change of phase, on the host."""
    next_phase, seen = job_module.Job._next_phase, []

    def look(job, progress):
        new = next_phase(job, progress)
        old_state, new_state = (jax.device_get(p.state._replace(key=0)) for p in (progress, new))
        seen.append((old_state, new_state, job.stage.space))
        return new

    monkeypatch.setattr(job_module.Job, "_next_phase", look)
    return seen


@pytest.mark.slow
def test_of_two_seeds_the_first_is_as_it_is_alone(tmp_path, monkeypatch, transitions):
    """Also where the other one keeps other operations: masks stand for pruning."""

    def plan(space, config):
        first, second = phases.split(config, 2)
        return Phase(first, partial_channels(2)), Phase(second, keep=1, continues=True)

    method, resolve = Method(phases=plan), find.resolve
    monkeypatch.setattr(run.find, "resolve", lambda what, text: method if what == "method" else resolve(what, text))
    both = dnas.search.run(dataclasses.replace(CONFIG, seeds=2), tmp_path / "both", quiet=True)
    alone = dnas.search.run(CONFIG, tmp_path / "alone", quiet=True)
    (_, of_both, shared), (_, of_one, own) = transitions
    assert own.cells["cell"].mix_shape == (3, 1)
    assert shared.cells["cell"].mix_shape == (3, 2), "both seeds keep the same operations: this shows nothing"
    np.testing.assert_array_equal(of_both.mask["cell"].sum(-1), np.ones((2, 3)))
    rows = [[row for row in records.read_metrics(r.folder) if row["seed"] == 0] for r in (both, alone)]
    assert len(rows[0]) == 4
    for one, other in zip(*rows, strict=True):
        for name in ("train_loss", "search_loss", "valid_loss", "learning_rate"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, err_msg=name)
    assert both.genotypes[0] == alone.genotypes[0]


@pytest.mark.slow
def test_a_phase_that_restarts_has_new_weights_and_alphas_and_its_own_schedule(tmp_path, transitions):
    config = dataclasses.replace(CONFIG, method="p_darts:deeper=0+1,keep=2,dropout=0.1+0.4")
    result = dnas.search.run(config, tmp_path / "run", quiet=True)
    ((old, new, space),) = transitions
    np.testing.assert_array_equal(new.step, old.step)
    assert any(np.any(leaf) for leaf in jax.tree.leaves((momentum(old), old.alpha_opt)))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((momentum(new), new.alpha_opt)))
    assert space.mix_shapes == {"cell": (3, 2)} and new.alphas["cell"].shape == (1, 3, 2)
    assert np.abs(old.alphas["cell"]).max() > 0.1 > 0.01 > np.abs(new.alphas["cell"]).max()
    stems = [state.weights["backbone"]["stem"]["layers"][0]["kernel"] for state in (old, new)]
    assert np.abs(stems[0] - stems[1]).min() > 0, "the same numbers were drawn again"
    rates = [row["learning_rate"] for row in records.read_metrics(result.folder)]
    np.testing.assert_allclose(rates, [0.025, 0.013] * 2, rtol=1e-6)


@pytest.mark.slow
def test_a_teacher_stays_and_stopping_changes_nothing_of_what_it_teaches(tmp_path, monkeypatch, transitions):
    """Once-for-all: the weights of the end of the first phase teach, the optimiser begins as it does anew."""
    method = "once_for_all:probes=2,population=2,generations=1,finalists=1"
    weights = dataclasses.replace(CONFIG.search.weights, optimiser="rmsprop:initial=1")
    search = dataclasses.replace(CONFIG.search, epochs=3, weights=weights)
    space = "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"
    config = dataclasses.replace(CONFIG, space=space, method=method, search=search)
    with before_the_end_of(3, lambda: shutil.copytree(tmp_path / "whole", tmp_path / "run"), monkeypatch):
        whole = dnas.search.run(config, tmp_path / "whole", quiet=True)
    (old, new, _), *others = transitions
    assert not others
    jax.tree.map(np.testing.assert_array_equal, (new.teacher, new.weights), (old.weights, old.weights))
    squares = jax.tree.leaves(new.weight_opt[1].square)
    assert all((leaf == 1).all() for leaf in squares) and len(squares) == len(jax.tree.leaves(new.weights))
    assert final_state(tmp_path / "run") != final_state(tmp_path / "whole")
    assert_same_run(dnas.search.run(config, tmp_path / "run", resume=True, quiet=True), whole)
    last = records.read_metrics(whole.folder)[-1]  # of the selection, whose networks had calibrated norms
    assert last["calibrated"] >= last["evaluated"] > 2
