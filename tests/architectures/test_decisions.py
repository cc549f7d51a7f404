"""Spaces that decide some things more often than others: tables of unlike numbers of rows, rows of unlike numbers of
options."""

from collections import Counter
from math import prod

import jax
import numpy as np
import pytest

from dnas import find
from dnas.architectures import choices, encoding
from dnas.architectures.genotype import as_mix, check, cross, from_json, mutate, parse, random, to_json, to_text
from dnas.architectures.genotype_data import decisions, of_decisions
from dnas.architectures.topology import Cell, Norm, Space
from dnas.blackbox.searcher import Problem, decisions_of
from dnas.errors import UserError
from dnas.reports import diagram

OPTIONS = {"kernel": [["3", "5", "7"], ["3", "5"], ["3", "5", "7"]], "depth": [["2", "3", "4", "5"]]}
TEXT = "toy(kernel=[3, 5, 7], depth=[4])"


def space():
    cells = {
        kind: Cell(
            inputs=1,
            nodes=len(rows),
            edges=tuple((i + 1, i) for i in range(len(rows))),
            operations=tuple(map(tuple, rows)),
        )
        for kind, rows in OPTIONS.items()
    }
    names = [name for rows in OPTIONS.values() for row in rows for name in row]
    none = Norm(affine=False, pools=False)
    return Space("toy", cells, dict.fromkeys(names, None), backbone=None, search_norm=none, network_norm=none)


def test_texts_and_records():
    genotype = parse(TEXT)
    assert genotype == of_decisions("toy", [{"kernel": "3", "depth": "4"}, {"kernel": "5"}, {"kernel": "7"}])
    assert decisions(genotype) == ({"kernel": "3", "depth": "4"}, {"kernel": "5"}, {"kernel": "7"})
    assert to_text(genotype) == TEXT
    assert from_json(to_json(genotype)) == genotype
    check(genotype, space())


def test_numbers_and_mixes_of_all():
    found = list(encoding.every(space()))
    assert len(found) == len(set(found)) == encoding.count(space()) == 3 * 2 * 3 * 4
    options, _ = choices.choices(space())
    assert options == (3, 2, 3, 4)
    for number, genotype in enumerate(found):
        assert choices.encode(genotype, space()).tolist() == list(np.unravel_index(number, options))
        assert choices.decode(choices.encode(genotype, space()), space()) == genotype
        assert parse(to_text(genotype)) == genotype
        mix = as_mix(genotype, space())
        assert {kind: rows.shape for kind, rows in mix.items()} == {"kernel": (3, 3), "depth": (1, 4)}
        assert all((rows.sum(-1) == 1).all() for rows in mix.values())


def test_neighbours_mutants_and_children_are_of_the_space():
    genotype, generator = parse(TEXT), np.random.default_rng(0)
    near = list(encoding.neighbours(genotype, space()))
    assert len(near) == len(set(near)) == 2 + 1 + 2 + 3
    drawn = [random(space(), generator) for _ in range(200)]
    for one, other in zip(drawn, drawn[1:], strict=False):
        for new in (mutate(one, space(), 0.5, generator), cross(one, other, space(), generator)):
            check(new, space())
            encoding.encode(new, space())
    assert {edge.operation for g in drawn for edge in g.cell("kernel").edges[1:2]} == {"3", "5"}


@pytest.mark.parametrize("name", ["random_search", "evolution", "reinforce", "local_search", "nsga2"])
def test_searchers_draw_all_options_and_no_others(name):
    options = decisions_of(space()).options
    searcher = find.resolve("searcher", name).build(Problem(decisions_of(space()), 200))

    def one(carried, key):
        state, architecture = searcher.ask(carried, key)
        return searcher.tell(state, architecture, architecture.sum().astype(float)), architecture

    state = searcher.init(jax.random.key(0))
    _, drawn = jax.jit(lambda state, keys: jax.lax.scan(one, state, keys))(
        state, jax.random.split(jax.random.key(1), 200)
    )
    seen = [Counter(column) for column in np.asarray(drawn).T.tolist()]
    assert [max(column) for column in seen] == [count - 1 for count in options]
    assert all(min(column) == 0 for column in seen) and prod(map(len, seen)) == prod(options)


@pytest.mark.parametrize(
    "text",
    ["toy(kernel=[3, 5], depth=[4])", "toy(kernel=[3, 5, 7], depth=[4, 4, 4])", "toy(kernel=[3, 5, 7], depth=[4, 4])"],
)
def test_as_many_as_the_space_decides(text):
    with pytest.raises(UserError, match=r"expected as many options for each decision as 'toy' has, {'kernel': 3, 'dep"):
        check(parse(text), space())


def test_pictures(tmp_path):
    assert diagram.text(parse(TEXT)).splitlines() == [
        "number  kernel",
        "1       3",
        "2       5",
        "3       7",
        "",
        "number  depth",
        "1       4",
    ]
    diagram.draw(parse(TEXT), tmp_path / "toy.png")
    assert (tmp_path / "toy.png").read_bytes()[:4] == b"\x89PNG"
