"""Names and layouts of the PyTorch reference codes, there and back; and what is said when files do not fit."""

import builtins
import sys
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from dnas import interop
from dnas.architectures.genotype import parse
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.network import Network
from dnas.nets.supernet import Supernet
from dnas.spaces import darts, nasbench201

DARTS, NB201 = darts.space(), nasbench201.space()
NB201_TEXT = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
NETWORKS = {
    "darts_supernet": partial(Supernet, DARTS, NetworkSize(9, 4, 10)),
    "darts_cifar": partial(Network, parse("DARTS_V2"), DARTS, NetworkSize(9, 4, 10, auxiliary=True)),
    "darts_imagenet": partial(
        Network, parse("DARTS_V1"), DARTS, NetworkSize(7, 4, 10, stem="imagenet", auxiliary=True)
    ),
    "amoebanet": partial(Network, parse("AmoebaNet"), DARTS, NetworkSize(3, 4, 10)),
    "nasbench201_supernet": partial(Supernet, NB201, NetworkSize(2, 4, 10)),
    "nasbench201": partial(Network, parse(NB201_TEXT), NB201, NetworkSize(2, 4, 10)),
}


def build(name):
    return lambda rngs: NETWORKS[name](rngs=rngs)


@pytest.fixture(scope="module")
def layouts():
    return {name: interop.layout(build(name)) for name in NETWORKS}


def random_arrays(pairs, seed=0):
    """An array for every name; what is one array of ours has one value."""
    rng, values = np.random.default_rng(seed), {}
    for pair in pairs:
        values.setdefault((pair.weight, pair.path, pair.at), rng.normal(size=pair.shape).astype(np.float32))
    return {pair.name: values[pair.weight, pair.path, pair.at] for pair in pairs}


@pytest.mark.parametrize("name", NETWORKS)
def test_there_and_back(name, layouts):
    pairs = layouts[name]
    arrays = random_arrays(pairs)
    back = interop.to_torch(*interop.from_torch(arrays, pairs), pairs)
    assert list(back) == list(arrays) == list(dict.fromkeys(pair.name for pair in pairs))
    for key, array in arrays.items():
        np.testing.assert_array_equal(back[key], array)
        assert back[key].dtype == array.dtype and back[key].flags.c_contiguous


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "darts_supernet" else name for name in NETWORKS]
)
def test_every_leaf_of_ours_is_filled(name, layouts):
    network, pairs = functionalize(build(name)), layouts[name]
    ours = interop.from_torch(random_arrays(pairs), pairs)
    expected = jax.eval_shape(network.init, jax.random.key(0))
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for leaf, like in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert leaf.shape == like.shape
        assert (leaf != 0).all()  # the random ones are nowhere zero: no hole is left


def test_names_and_shapes_are_those_of_the_reference(layouts):
    """Of quark0/darts and xautodl, by hand."""
    shapes = {name: {pair.name: pair.shape for pair in pairs} for name, pairs in layouts.items()}
    supernet = shapes["darts_supernet"]
    assert supernet["stem.0.weight"] == (12, 3, 3, 3)
    assert supernet["cells.2.preprocess0.op.1.weight"] == (4, 16, 1, 1)
    assert supernet["cells.3._ops.0._ops.3.conv_2.weight"] == (4, 8, 1, 1)
    assert supernet["cells.4.preprocess0.conv_1.weight"] == (4, 16, 1, 1)
    assert supernet["cells.8._ops.13._ops.5.op.5.weight"] == (16, 1, 5, 5)
    assert supernet["cells.8._ops.13._ops.5.op.6.weight"] == (16, 16, 1, 1)
    assert supernet["cells.0._ops.0._ops.1.1.running_var"] == (4,)
    assert "cells.0._ops.0._ops.5.op.3.weight" not in supernet  # no affine norms within cells
    assert shapes["darts_cifar"]["auxiliary_head.features.5.weight"] == (768, 128, 2, 2)
    assert shapes["darts_imagenet"]["stem1.1.weight"] == (4, 4, 3, 3)
    assert "auxiliary_head.features.6.weight" not in shapes["darts_imagenet"]
    assert shapes["amoebanet"]["cells.1._ops.8.1.weight"] == (8, 8, 1, 7)
    assert shapes["nasbench201"]["cells.4.layers.2.op.1.weight"] == (8, 8, 1, 1)
    assert shapes["nasbench201"]["cells.2.downsample.1.weight"] == (8, 4, 1, 1)
    assert shapes["nasbench201_supernet"]["cells.7.edges.3<-1.3.op.1.bias"] == (16,)
    assert shapes["nasbench201_supernet"]["classifier.weight"] == (10, 16)


@pytest.mark.slow
def test_without_statistics_those_of_a_new_network(layouts):
    pairs = layouts["nasbench201_supernet"]
    arrays = {name: a for name, a in random_arrays(pairs).items() if "running" not in name}
    _, stats = interop.from_torch(arrays, pairs)
    _, fresh = functionalize(build("nasbench201_supernet")).init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, stats, fresh)


def refuse(arrays, pairs, *words):
    with pytest.raises(UserError) as error:
        interop.from_torch(arrays, pairs)
    sentence = str(error.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_arrays_that_do_not_fit_are_named(layouts):
    pairs = layouts["darts_supernet"]
    arrays = random_arrays(pairs)
    interop.from_torch(arrays | {"stem.1.num_batches_tracked": np.array(3)}, pairs)
    refuse({k: a for k, a in arrays.items() if k != "stem.0.weight"}, pairs, "lack 'stem.0.weight'")
    refuse({k: a for k, a in arrays.items() if "cells.0." not in k}, pairs, "'cells.0._ops.0._ops.1.", "more arrays")
    refuse(arrays | {"cells.9.x": np.zeros(1)}, pairs, "have 'cells.9.x'")
    refuse(
        arrays | {"stem.0.weight": np.zeros((12, 3, 5, 5))}, pairs, "'stem.0.weight'", "(12, 3, 5, 5)", "(12, 3, 3, 3)"
    )
    one_pool = "cells.0._ops.2._ops.1.1.running_mean"  # edges 0, 2, 5 and 9 pool the same node
    refuse(arrays | {one_pool: arrays[one_pool] + 1}, pairs, "cells.0._ops.0._ops.1.1.running_mean", one_pool)


def test_files(tmp_path, layouts):
    arrays = random_arrays(layouts["nasbench201"])
    interop.save(tmp_path / "weights.npz", {f"param/{name}": a for name, a in arrays.items()} | {"x": np.zeros(2)})
    loaded = interop.load(tmp_path / "weights.npz", "param/")
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    np.savez_compressed(tmp_path / "damaged.npz", a=np.random.default_rng(0).normal(size=1000))
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[100:200] = bytes(100)
    (tmp_path / "damaged.npz").write_bytes(content)
    (tmp_path / "weights.pt").write_bytes(b"")
    for name, words in {
        "none.npz": "no file",
        f"{'x' * 300}.npz": "no file",
        "a\0b.npz": "no file",
        "one.npz": "plain arrays",
        "damaged.npz": "not a complete .npz",
        "cut.npz": "not a complete .npz",
        "objects.npz": "plain arrays",
        "weights.txt": ".npz, .pt or .pth",
    }.items():
        with pytest.raises(UserError, match=words):
            interop.load(tmp_path / name)

    def without_torch(name, *args, real=builtins.__import__, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    for act in (lambda path: interop.load(path), lambda path: interop.save(path, {})):
        with pytest.raises(UserError, match="pip install torch"):
            act(tmp_path / "weights.pt")
    for name in ("missing/weights.npz", f"{'x' * 300}.npz", "a\0b.npz"):
        with pytest.raises(UserError, match="Cannot write"):
            interop.save(tmp_path / name, {})


class Tensor:
    """Of PyTorch, as far as it matters here."""

    def __init__(self, value=0.0, requires_grad=False, dtype="float32"):
        self.value, self.requires_grad, self.dtype = np.full(2, value, np.float32), requires_grad, dtype

    def detach(self):
        return Tensor(self.value, dtype=self.dtype)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.value, self.requires_grad)

    def numpy(self):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.dtype == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.value


STATE = {"a.weight": Tensor(1), "a.bias": Tensor(2)}
OPTIMISER = {"state": {0: {"momentum_buffer": Tensor()}}, "param_groups": [{"lr": 0.1}]}
CHECKPOINTS = {
    "plain": STATE,
    "state_dict": {"state_dict": STATE, "alphas": Tensor(), "epoch": 3},
    "model": {"model": STATE, "optimizer": OPTIMISER, "args": {"lr": 0.1}},
    "model_state_dict": {"model_state_dict": STATE, "optimizer_state_dict": OPTIMISER},
    "with an average": {"ema": {"a.weight": Tensor(), "a.bias": Tensor()}, "state_dict": STATE},
    "any name, if it is the only one": {"supernet": STATE, "optimizer": OPTIMISER},
    "of DataParallel": {f"module.{name}": tensor for name, tensor in STATE.items()},
    "compiled": {"model": {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()}},
    "parameters": {"a.weight": Tensor(1, requires_grad=True), "a.bias": Tensor(2, requires_grad=True)},
    "bfloat16": {"a.weight": Tensor(1, dtype="bfloat16"), "a.bias": Tensor(2, True, dtype="bfloat16")},
    "with other things": {**STATE, "epoch": 3, 0: Tensor()},
}


@pytest.fixture
def torch_holds(tmp_path, monkeypatch):
    """`torch_holds(content)`: PyTorch is installed, and reads this from the file whose path is returned."""

    def holds(content):
        (tmp_path / "weights.pt").write_bytes(b"of PyTorch")
        torch = SimpleNamespace(Tensor=Tensor, load=lambda path, **_: content)
        monkeypatch.setitem(sys.modules, "torch", torch)
        return tmp_path / "weights.pt"

    return holds


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_way_of_saving_a_state_dict_is_read(name, torch_holds):
    loaded = interop.load(torch_holds(CHECKPOINTS[name]))
    assert {key: array.tolist() for key, array in loaded.items()} == {"a.weight": [1, 1], "a.bias": [2, 2]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "args": {}}, "no state_dict .found 'epoch', 'args'."),
        ({}, "no state_dict .found nothing"),
        ({"student": STATE, "teacher": STATE}, "several state_dicts .found 'student', 'teacher'."),
        ({"optimizer": OPTIMISER}, "no state_dict .found 'optimizer'."),
        ([Tensor()], "no state_dict but a list"),
        (Tensor(), "no state_dict but a Tensor"),
    ],
)
def test_a_file_without_one_state_dict_names_what_it_holds(content, words, torch_holds):
    path = torch_holds(content)
    with pytest.raises(UserError, match=words) as error:
        interop.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_state_dicts_of_pytorch(tmp_path, layouts):
    torch = pytest.importorskip("torch")
    arrays = random_arrays(layouts["nasbench201"])
    interop.save(tmp_path / "plain.pt", arrays)
    tensors = {f"module.{name}": torch.from_numpy(a) for name, a in arrays.items()}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "wrapped.pth")
    parameters = {name: torch.nn.Parameter(torch.from_numpy(a)) for name, a in arrays.items()}
    torch.save({"model": parameters, "optimizer": {"state": {}}}, tmp_path / "parameters.pt")
    for name in ("plain.pt", "wrapped.pth", "parameters.pt"):
        loaded = interop.load(tmp_path / name)
        assert list(loaded) == list(arrays)
        np.testing.assert_array_equal(loaded["classifier.weight"], arrays["classifier.weight"])
