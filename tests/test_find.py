"""Names to things."""

import subprocess
import sys
import textwrap

import pytest

from dnas import find
from dnas.architectures.topology import Space
from dnas.errors import UserError, nearest, unknown
from dnas.nets import ops


def test_a_choice_is_a_name_and_settings():
    assert find.parse_choice("darts") == ("darts", {})
    assert find.parse_choice("darts:nodes=2,operations=a+b, x = 0.5,y=true") == (
        "darts",
        {"nodes": "2", "operations": "a+b", "x": "0.5", "y": "true"},
    )
    assert find.parse_choice("npz:path=/a/b.npz") == ("npz", {"path": "/a/b.npz"})


@pytest.mark.parametrize(
    "written, read",
    [
        ("2024.10", "2024.10"),
        ("true", "true"),
        ("None", "None"),
        ("1e3", "1e3"),
        ("[a]", "[a]"),
        ("a,b", "a,b"),
        ("a, b/c d", "a, b/c d"),
        ("it's", "it's"),
        ("a=b", "a=b"),
        ("C:\\x", "C:\\x"),
        ("'a,seed=3'", "a,seed=3"),
        ('"2024.10"', "2024.10"),
        (" /a ", "/a"),
        ("' /a '", " /a "),
    ],
)
def test_a_path_is_the_text_that_was_typed(written, read):
    def typed(text):
        return find._typed(find.parse_choice(text)[1]["path"], "", "here")

    assert typed(f"npz:path={written}") == typed(f"npz:limit=3,path={written}") == read
    assert typed(f"npz:path={written},limit=3") == read
    assert find.parse_choice(f"npz:path={written},limit=3")[1]["limit"] == "3"


@pytest.mark.parametrize(
    "value", ["a", "a b", "a,b", "a,b=3", " a ", "it's", "'a'", '"a"', "a=b", "true", "a+b,c", '"a,b=3', "'", "a, b ="]
)
def test_what_is_written_is_read_again(value):
    text = find.written("table", {"path": value, "target": value})
    _, settings = find.checked("data set", f"{text},limit=3")
    assert settings == {"path": value, "target": value, "limit": 3}


def test_what_cannot_be_written_is_refused():
    with pytest.raises(UserError, match="cannot be written in a choice"):
        find.written("table", {"path": "'a', \"b\", c=d"})


def test_a_name_is_looked_for_alone():
    assert find.exists("data set", "digits") and find.exists("check", "leaks")
    assert not find.exists("data set", "augment")  # it has no factory
    assert not find.exists("data set", "no_such") and not find.exists("data set", "")


@pytest.mark.parametrize(
    "what, text, words",
    [
        ("space", "dart", ["Unknown space 'dart'", "Did you mean darts?"]),
        ("method", "idart", ["Unknown method 'idart'", "idarts"]),
        ("data set", "zzz", ["Unknown data set 'zzz'", "Known:", "digits", "fashion_mnist"]),
        ("data set", "mnist", ["fashion_mnist"]),
        ("space", "", ["Unknown space ''", "darts"]),
        ("space", "s1", ["Unknown space 's1'", "Did you mean robust:name=s1?"]),
        ("space", "S4:nodes=2", ["Unknown space 'S4'", "robust:name=s4"]),
        (
            "space",
            "skip_connect",
            ["Known: chain, darts, fbnet, mnasnet, nasbench201, nats_size, ofa, proxyless, rnn, robust, "],
        ),
        ("method", "second", ["Did you mean darts:order=second or robust_darts:order=second?"]),
        ("method", "adversarial", ["sdarts:attack=adversarial"]),
        ("method", "accuracy", ["darts_pt:criterion=accuracy"]),
        ("space", "darts:node=2", ["setting of space darts", "'node'", "nodes"]),
        ("space", "darts:nodes=two", ["'nodes' of space 'darts' is a number, not 'two'"]),
        ("space", "darts:nodes=2.5", ["whole number, not 2.5"]),
        ("space", "darts:nodes=True", ["is a number, not 'True'"]),
        ("space", "darts:nodes", ["Cannot read 'nodes' in 'darts:nodes'", "key=value"]),
        ("space", "darts:nodes=2,nodes=3", ["'nodes' is given twice"]),
        ("space", "darts:nodes=0", ["'nodes' of space 'darts' must be at least 1 and at most 16, not 0"]),
        ("space", "darts:operations=none", ["Nothing flows"]),
        ("space", "nasbench201:operations=none", ["Nothing flows"]),
        ("space", "darts:operations=skip_connect+none+skip_connect", ["'skip_connect' stands twice"]),
        ("space", "darts:operations=", ["Unknown operation ''"]),
        ("space", "darts:operations=sep_conv_3x4", ["Unknown operation 'sep_conv_3x4'", "sep_conv_3x3"]),
        ("method", "darts:order=3", ["order of method 'darts'", "'3'", "first"]),
    ],
)
def test_mistakes_are_named(what, text, words):
    with pytest.raises(UserError) as error:
        find.resolve(what, text)
    for word in words:
        assert word in str(error.value)


def test_resolve_calls_the_factory_with_the_settings():
    space = find.resolve("space", "darts:nodes=2")
    assert isinstance(space, Space)
    assert space.cells["normal"].nodes == 2


@pytest.mark.parametrize("what", find.PACKAGES)
def test_what_is_described_is_what_can_be_called(what):
    described, available = find.described(what), find.available(what)
    assert list(described) == list(available) == sorted(available)
    for name, factory in available.items():
        assert callable(factory)
        assert described[name].line == find.summary(factory)
        assert described[name].line.endswith((".", ";", ","))


def test_operations_are_described():
    described = find.functions("dnas.nets.ops")
    assert list(described) == list(ops.OPERATIONS)
    assert all(line.endswith(".") for line in described.values())


def test_a_paper_is_named_by_the_archive_that_has_it():
    papers = {name: about.paper for name, about in find.described("method").items()}
    assert papers["oles"] == "OpenReview yAOwkf4FyL"  # not that of DARTS, on which it builds
    assert papers["idarts"] == "arXiv:2106.10784"
    assert papers["agreement"] == ""  # ours


def test_a_new_file_is_found_without_an_edit(tmp_path, monkeypatch):
    import dnas.methods

    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            '''
            """Mine: a method of my own."""

            def method(*, speed: float = 2.0):
                return speed
            '''
        )
    )
    monkeypatch.setattr(dnas.methods, "__path__", [*dnas.methods.__path__, str(tmp_path)])
    assert find.described("method")["mine"] == ("Mine: a method of my own.", "speed=2.0", "")
    assert find.resolve("method", "mine:speed=3") == 3
    sys.modules.pop("dnas.methods.mine")


def test_describing_imports_no_jax():
    code = (
        "import sys; from dnas import find; [find.described(w) for w in find.PACKAGES]; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_nearest_names_come_first():
    assert nearest("epochs", ["search.epochs", "search.cells"]) == ["search.epochs"]
    assert nearest("zzz", ["a", "b"]) == []
    assert str(unknown("thing", "zzz", ["b", "a"])) == "Unknown thing 'zzz'. Known: a, b."
