"""What people paste, and what nobody should: any text, JSON or file gives genotypes that can be shown, written and
built, or one sentence."""

import getpass
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from dnas import find
from dnas.architectures import genotype as genotypes
from dnas.architectures import zoo
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.reports import diagram

# else hypothesis leaves a folder where pytest was called
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"hypothesis-{getpass.getuser()}")
FUZZ = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))

DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('none', 2)], "
    "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('noise', 1), ('noise', 2)], "
    "reduce_concat=range(2, 4))"
)
OURS = genotypes.parse(DARTS)
RNN = "Genotype(recurrent=[('tanh', 0), ('relu', 1)], concat=range(1, 3))"
NB201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
CELL = genotypes.parse(NB201)
NESTED = "[[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], [('skip_connect', 0), ('none', 2)]]"
FLAT = "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('none', 2)]"
DARTS_FIELDS = {
    "normal": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["skip_connect", 0], ["none", 2]],
    "normal_concat": [2, 3],
    "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["noise", 1], ["noise", 2]],
    "reduce_concat": [2, 3],
}
PASTED = {
    "a semicolon": DARTS + ";",
    "a comma": DARTS + ",\n",
    "a comment": DARTS + "  # the best of 4",
    "a variable": "MINE = " + DARTS,
    "a line of a log": "07/01 11:05:44 AM genotype = " + DARTS,
    "a log": f"07/01 epoch 3 lr 2.5e-02\n07/01 {DARTS}\ntensor([[0.1, 0.2]], device='cuda:0')\n07/01 train_acc 55.0",
    "a module": f"import collections\nGenotype = namedtuple('Genotype', 'normal reduce')\nX = {DARTS}\n",
    "lines": DARTS.replace(", (", ",\n    ("),
    "a string": f'"{DARTS}"',
    "a web page": DARTS.replace(", ", ",\u00a0").replace("'", "\u2019"),
    "a qualified name": "genotypes." + DARTS,
    "nested lists": DARTS.replace(FLAT, NESTED),
    "a list of a range": DARTS.replace("range(2, 4)", "list(range(2, 4))"),
    "an unpacked range": DARTS.replace("range(2, 4)", "[*range(2, 4)]"),
    "a range with a step": DARTS.replace("range(2, 4)", "range(2, 4, 1)"),
    "tuples": DARTS.replace("[", "(").replace("]", ")"),
    "lists": DARTS.replace("('", "['").replace(")", "]").replace("(2, 4]", "(2, 4)").removesuffix("]") + ")",
    "numbers of NumPy": DARTS.replace(" 0)", " np.int64(0))").replace(" 1)", " numpy.int32(1))"),
    "strings of NumPy": DARTS.replace("'noise'", "np.str_('noise')"),
    "an array": DARTS.replace("range(2, 4)", "array([2, 3], dtype=int64)"),
    "a tensor": DARTS.replace("range(2, 4)", "tensor([2, 3], device='cuda:0')"),
    "what Python prints of ours": repr(OURS),
    "JSON": json.dumps(genotypes.to_json(OURS)),
    "JSON in a list": json.dumps([genotypes.to_json(OURS)], indent=2),
    "JSON of the fields": json.dumps(DARTS_FIELDS),
}
JSON_TEXT, PRINTED = PASTED["JSON"], repr(genotypes.to_json(OURS))
PRINTED_FIELDS = "{" + DARTS[9:-1].replace("=", "': ").replace("normal", "'normal").replace("reduce", "'reduce") + "}"
MARKED = {
    "backticks": f"`{DARTS}`",
    "a block of code": f"Found:\n```python\n{DARTS}\n```",
    "bold": f"**{DARTS}**",
    "bold backticks": f"**`{DARTS}`**",
    "HTML": "<p><code>" + DARTS.replace("'", "&#39;") + "</code></p>",
    "a cell": f"| {DARTS} |",
    "a table": f"| name | cell | % |\n|:---|---|---:|\n| mine | `{DARTS}` | 97.2 |",
    "a table of HTML": f"<table><tr><td>mine</td><td>{DARTS}</td><td>97.2</td></tr></table>",
    "a quotation": "> " + DARTS.replace(", (", ",\n>   ("),
    "an item": f"* {DARTS}",
    "signs without width": "\ufeff" + DARTS.replace("(", "(\u200b").replace("'sep", "'\u2060sep"),
    "narrow blanks": DARTS.replace(" ", "\u202f"),
    "colours": "\x1b[1;32m" + DARTS.replace("'sep", "\x1b[31m'sep") + "\x1b[0m",
    "backslashes": DARTS.replace("_", "\\_").replace("[", "\\["),
    "a printed dictionary": PRINTED,
    "a printed dictionary of the fields": PRINTED_FIELDS,
    "unpacked fields": f"Genotype(**{PRINTED_FIELDS})",
    "an unpacked dictionary": f"Genotype(**{PRINTED})",
    "JSON in backticks": f"`{JSON_TEXT}`",
    "JSON in a block": f"```json\n{JSON_TEXT}\n```",
    "JSON in a row": f"| mine | `{JSON_TEXT}` | 97.2 |",
    "JSON in a line": f"the best genotype: {JSON_TEXT}",
    "bold JSON": f"**{JSON_TEXT}**",
}
PASTED |= MARKED
PASTED_CELLS = {
    "blanks": NB201.replace("~", " ~ ").replace("+", "  +\t").replace("|", "| ").strip(),
    "lines": NB201.replace("+", "+\n"),
    "quotes": f"'{NB201}',",
    "a structure": f"Structure(4 nodes with {NB201})",
    "a line of a log": f"the best architecture is: {NB201}",
    "a list": json.dumps([NB201]),
    "JSON": json.dumps(genotypes.to_json(CELL)),
    "backticks": f"`{NB201}`",
    "bold": f"**{NB201}**",
    "an accuracy": f"{NB201} 93.21",
    "an accuracy behind a colon": f"{NB201}: 93.21 %",
    "words": f"{NB201} with an accuracy of 93.2",
    "a structure and words": f"Structure(4 nodes with {NB201}) 93.2",
    "a line with another tilde": f"after ~ 5 minutes: {NB201}",
    "a tuple": f"('{NB201}', 93.2)",
    "a printed record": f"{{'arch': '{NB201}', 'accuracy': 93.2}}",
    "a record": json.dumps({"arch": NB201, "accuracy": 93.2}),
    "a table": f"| arch | % |\n|---|---|\n| `{NB201}` | 93.2 |",
    "a row": f"| 1 | {NB201} | 93.2 |",
    "a row with backslashes": "| 1 | " + NB201.replace("|", "\\|") + " | 93.2 |",
    "HTML": f"<code>{NB201}</code>",
    "colours": f"\x1b[1m{NB201}\x1b[0m",
    "blanks that do not break": NB201.replace("+", "\u00a0+\u00a0").replace("|", "|\u200b"),
}
NAMED = (
    "`DARTS_V2`",
    "**darts v2**",
    "'DARTS_V2'",
    "<code>DARTS_V2</code>",
    "| name | % |\n|---|---|\n| DARTS_V2 | 97.2 |",
)


@pytest.mark.parametrize("name", PASTED)
def test_what_people_paste_is_read(name):
    assert genotypes.read(PASTED[name]) == [OURS]


@pytest.mark.parametrize("name", PASTED_CELLS)
def test_a_nasbench201_string_may_have_blanks_and_company(name):
    assert genotypes.read(PASTED_CELLS[name]) == [CELL]


@pytest.mark.parametrize("text", NAMED)
def test_a_name_may_have_marks_and_company(text, tmp_path):
    (tmp_path / "name.txt").write_text(text)
    for source in (text, str(tmp_path / "name.txt")):
        assert genotypes.read(source) == [zoo.entry("DARTS_V2").genotype]


def test_names_and_indices_stand_one_a_line():
    expected = [zoo.entry("DARTS_V2").genotype, zoo.nasbench201(1835), zoo.entry("DARTS_V1").genotype]
    assert genotypes.read("`DARTS_V2`\n1835\n\nDARTS_V1") == expected
    with pytest.raises(UserError, match="Cannot read the genotype"):
        genotypes.read("DARTS_V2\na cell of mine")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (NB201 + "+", "node 4 of the NAS-Bench-201 string"),
        (NB201 + "a", "node 3 of the NAS-Bench-201 string"),
        ("|a~0|+|a~0| b ~ 1", "node 2 of the NAS-Bench-201 string"),
        ("| a | b |", "node 1 of the NAS-Bench-201 string"),
        ("`DARTS_V7`", "Unknown published cell 'DARTS_V7'"),
        (DARTS + " and more", "the end of the genotype: found 'and more'"),
        ("Genotype(**{1: 2})", "the fields of a genotype, as in"),
        ("Genotype(**{'normal': []}, normal=[])", "the field 'normal' once"),
        ("Genotype(**{'normal': []})", "expected the fields normal, normal_concat"),
        ("{'space': 'a', 'space': 'b'}", "'space' twice"),
        ("{'normal': [f(x)]}", "expected JSON"),
        (JSON_TEXT + " 1", "found 1"),
    ],
)
def test_where_the_meaning_is_not_one_there_is_one_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence):
        genotypes.read(text)


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cell.txt").write_text(DARTS)
    assert genotypes.read("~/cell.txt") == [OURS]
    with pytest.raises(UserError, match="genotype file '~/other.txt': there is no such file"):
        genotypes.read("~/other.txt")


def test_nested_lists_may_have_any_length():
    nested = "[[('a', 0)], [], [('a', 0), ('b', 1), ('c', 2)]]"
    text = f"Genotype(normal={nested}, normal_concat=[2, 3, 4], reduce=[[]], reduce_concat=[2])"
    found = genotypes.parse(text)
    assert found.cell("normal").edges == ((2, 0, "a"), (4, 0, "a"), (4, 1, "b"), (4, 2, "c"))
    assert found.cell("reduce").edges == ()
    text = "Genotype(recurrent=[[('tanh', 0)], [('relu', 1)]], concat=range(1, 3))"
    assert genotypes.parse(text) == genotypes.parse(RNN)


SEVERAL = {
    "lines": f"{DARTS}\n{DARTS.replace('noise', 'none')}",
    "a list": f"[{DARTS}, {DARTS.replace('noise', 'none')}]",
    "a list of strings": json.dumps([DARTS, DARTS.replace("noise", "none")]),
    "what Python prints of ours": repr((OURS, genotypes.parse(DARTS.replace("noise", "none")))),
    "JSON lines": "\n".join(
        json.dumps(genotypes.to_json(genotypes.parse(text))) for text in (DARTS, DARTS.replace("noise", "none"))
    ),
    "printed lines": "\n\n".join(
        repr(genotypes.to_json(genotypes.parse(text))) for text in (DARTS, DARTS.replace("noise", "none"))
    ),
    "items": f"- `{DARTS}`\n- `{DARTS.replace('noise', 'none')}`",
    "variables": f"A = {DARTS}; B = {DARTS.replace('noise', 'none')}",
    "JSON": json.dumps([genotypes.to_json(genotypes.parse(text)) for text in (DARTS, DARTS.replace("noise", "none"))]),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_genotypes_are_all_read_and_none_is_taken_silently(name, tmp_path):
    expected = [OURS, genotypes.parse(DARTS.replace("noise", "none"))]
    assert genotypes.read(SEVERAL[name]) == expected
    (tmp_path / "genotype.json").write_text(SEVERAL[name])
    for source in (SEVERAL[name], str(tmp_path / "genotype.json"), str(tmp_path)):
        with pytest.raises(UserError, match="holds 2: give one of them by itself"):
            genotypes.parse(source)


@pytest.mark.parametrize("separator", ["\n", ", ", "', '", '",\n"', " "])
def test_several_nasbench201_strings(separator):
    assert genotypes.read(separator.join([NB201, "|none~0|", NB201])) == [CELL, genotypes.parse("|none~0|"), CELL]


def test_files_are_read_in_every_form_and_encoding(tmp_path):
    for name, content in {
        "cells.txt": f"{NB201}\n{DARTS}\n".encode(),  # a text is in one form
        "byte order mark.json": json.dumps(genotypes.to_json(OURS)).encode("utf-8-sig"),
        "of a Windows shell": DARTS.encode("utf-16"),
        "a name": b"DARTS_V2\n",
        "an index": b"1835\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        expected = {"a name": zoo.entry("DARTS_V2").genotype, "an index": zoo.nasbench201(1835)}.get(name, OURS)
        assert genotypes.read(str(tmp_path / name)) == [expected], name


def test_a_path_that_exists_comes_first_then_texts_then_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert genotypes.parse("1835") == zoo.nasbench201(1835)
    Path("DARTS_V2").mkdir()
    assert genotypes.parse("DARTS_V2") == zoo.entry("DARTS_V2").genotype  # not of a run: it is no path to a genotype
    for folder in ("DARTS_V2", "1835", NB201):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "genotype.json").write_text(DARTS)
        assert genotypes.parse(folder) == OURS
    with pytest.raises(UserError, match="The folder '.*' holds no genotype.json"):
        genotypes.parse(str(tmp_path))


@pytest.mark.parametrize("source", ["x" * 300, "x" * 70_000, "a/" * 3000, "a\0b", "\ud800", "a\nb", "", " ", "\0", "."])
def test_no_text_is_an_offence_to_the_system(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_sentence(lambda: genotypes.read(source))


# Anything at all


def one_sentence(read):
    """What was read; every part of it can be shown and written. Or empty after one short sentence."""
    try:
        found = read()
    except UserError as error:
        message = str(error)
        assert message.isprintable() or message.replace("\xa0", " ").isprintable(), message
        assert len(message) < 3000 and message.endswith((".", "?")), message
        return []
    for genotype in found:
        assert genotypes.from_json(json.loads(json.dumps(genotypes.to_json(genotype)))) == genotype
        diagram.text(genotype).encode()
        zoo.nasbench201_index(genotype)
        try:
            text = genotypes.to_text(genotype)
        except UserError:
            continue
        assert genotypes.parse(text).cells == genotype.cells
    return found


TEXTS = [DARTS, RNN, NB201, *PASTED.values(), *PASTED_CELLS.values(), *SEVERAL.values(), *NAMED, "DARTS_V2", "1835"]
PIECES = st.sampled_from(
    [*"|~+()[]{},:;*#'\"\\\n\0\ud800\xe9\u0663\u2028", "", "0", "-1", "7", "999", "1e9", "nan", "None", "true", "x y"]
    + ["Genotype(", "normal", "concat=", "'none'", "b'a'", "f'{x}'", "...", "lambda: 0", "range(9**9)"]
    + ["0x" + "f" * 5000, "-" * 500, "[" * 500]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)


def edited(text, edits):
    for place, length, piece in edits:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + length :]
    return text


@settings(FUZZ, max_examples=400)
@given(st.sampled_from(TEXTS), EDITS)
def test_any_edit_of_a_text(text, edits):
    one_sentence(lambda: genotypes.read(edited(text, edits)))


@settings(FUZZ, max_examples=200)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join)))
def test_any_text(text):
    one_sentence(lambda: genotypes.read(text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("any")


@settings(FUZZ, max_examples=100)
@given(st.one_of(st.binary(max_size=60), st.tuples(st.sampled_from(TEXTS), EDITS).map(lambda x: edited(*x))))
def test_any_file(folder, content):
    path = folder / "genotype.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
    one_sentence(lambda: genotypes.read(str(path)))


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**30))
JSON = st.recursive(SCALARS, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part))
NODES = st.one_of(
    *[st.integers(0, 6)] * 8, st.sampled_from([-1, 999, 1000, True, 2.0, float("nan"), None, "2", 10**30])
)
NAMES = st.one_of(
    *[st.sampled_from(["none", "skip_connect", "nor_conv_3x3", "sep_conv_5x5", "noise"])] * 8,
    st.sampled_from(["", "a|b", "a~0", "a b", "\ud800", "unknown", None, 3]),
)


def forwards(edge):
    """Most edges read an earlier node; of the others there are enough among NODES."""
    node, source, name = edge
    in_order = type(node) is int and type(source) is int and node <= source
    return [source + 1, node, name] if in_order else list(edge)


EDGES = st.lists(st.tuples(NODES, NODES, NAMES).map(forwards), max_size=6)
CONCATS = st.one_of(st.none(), st.just([2, 3]), st.just([]), st.lists(NODES, max_size=3))
CELLS = st.one_of(*[st.fixed_dictionaries({"edges": EDGES, "concat": CONCATS})] * 8, JSON)
KINDS = st.sampled_from(
    [("normal", "reduce"), ("cell",), ("recurrent",), ("normal",), ("reduce", "cell"), ("a b",), ()]
)
BY_KIND = KINDS.flatmap(lambda kinds: st.fixed_dictionaries(dict.fromkeys(kinds, CELLS)))
SPACES = st.one_of(*[st.sampled_from(["darts", "nasbench201", "mine"])] * 4, NAMES)
RECORDS = st.fixed_dictionaries({"space": SPACES, "cells": st.one_of(*[BY_KIND] * 8, JSON)})


@settings(FUZZ, max_examples=400)
@given(st.one_of(RECORDS, RECORDS, RECORDS, JSON))
def test_any_json(record):
    one_sentence(lambda: [genotypes.from_json(record)])


@pytest.fixture(scope="module")
def spaces():
    return {name: find.resolve("space", name) for name in ("darts", "nasbench201")}


def kinds_of(name):
    kinds = {"darts": ("normal", "reduce"), "nasbench201": ("cell",)}[name]
    concat = st.none() if name == "nasbench201" else st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)
    edges = st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["none", "skip_connect", "noise", "x"]))
    cell = st.fixed_dictionaries({"edges": st.lists(edges.map(forwards), max_size=5), "concat": concat})
    return st.fixed_dictionaries({"space": st.just(name), "cells": st.fixed_dictionaries(dict.fromkeys(kinds, cell))})


@settings(FUZZ, max_examples=12)
@given(st.sampled_from(["darts", "nasbench201"]).flatmap(kinds_of))
def test_what_passes_the_checks_is_drawn_and_built(folder, spaces, record):
    found = one_sentence(lambda: [genotypes.from_json(record)])
    for genotype in found:
        diagram.draw(genotype, folder / "cells.png")
        space = spaces[genotype.space]
        if one_sentence(lambda: genotypes.check(genotype, space) or [genotype]):  # noqa: B023
            assert count(genotype, space, NetworkSize(3, 4, 10), 8).parameters > 0
