"""Cells that compute the same: a canonical form, equal for two cells exactly where they are isomorphic.

Two operations are known, all others are names: `skip_connect` passes on what it gets, `none` nothing, and an operation
on nothing gives nothing. Sums have no order, a sum in a sum is one sum, and what does not reach the output is left out.
Operations have weights: one whose result is used twice is another cell than two of the same name. NAS-Bench-201 has
5,425 of 15,625; its own code (D-X-Y/AutoDL-Projects, `to_unique_str`) counts 6,466, as it takes operations of one name
on one input for the same, and tells sums with nothing in them apart.
"""

from collections.abc import Iterator
from itertools import chain, groupby, permutations, product
from typing import Any

from dnas.architectures.genotype_data import Genotype
from dnas.errors import UserError

Form = tuple[Any, ...]
INPUT = -1


def canonical(genotype: Genotype) -> Form:
    """The form of a cell of stride 1: for each operation that reaches the output its name and the terms of its input,
    then the terms of the output; a term is the number of an operation or, of the cell's input, -1.

    Errors: `UserError` for anything but one kind of cell whose last node is its output.
    """
    if len(genotype.cells) != 1 or genotype.cells[0][1].concat is not None:
        raise UserError(f"Isomorphism is known for cells of one kind that add up, not for those of '{genotype.space}'.")
    inputs, output = _reduced(genotype)
    trees: dict[int, Form] = {}

    def tree(number: int) -> Form:
        """An operation with all that lies before it, whether shared or not."""
        if number not in trees:
            name, terms = inputs[number]
            trees[number] = (name, *sorted(() if term == INPUT else tree(term) for term in terms))
        return trees[number]

    live = set(output) - {INPUT}
    while more := {term for number in live for term in inputs[number][1]} - live - {INPUT}:
        live |= more
    return min(_numbered(order, inputs, output) for order in _orders(sorted(live, key=tree), trees))


def _reduced(genotype: Genotype) -> tuple[dict[int, tuple[str, list[int]]], list[int]]:
    """The operations by the number of their edge, with the terms of their inputs, and the terms of the output."""
    nodes: dict[int, list[int]] = {0: [INPUT]}
    inputs: dict[int, tuple[str, list[int]]] = {}
    edges = genotype.cells[0][1].edges
    for number, (node, source, operation) in enumerate(sorted(edges, key=lambda edge: edge[:2])):
        passed, terms = nodes.get(source, []), nodes.setdefault(node, [])
        if operation == "skip_connect":
            terms += passed
        elif operation != "none" and passed:
            inputs[number] = operation, passed
            terms.append(number)
    return inputs, nodes[max(nodes)]


def _orders(live: list[int], trees: dict[int, Form]) -> Iterator[tuple[int, ...]]:
    """All orders of operations that are sorted by their trees."""
    alike = [permutations(group) for _, group in groupby(live, key=lambda number: trees[number])]
    for parts in product(*alike):
        yield tuple(chain(*parts))


def _numbered(order: tuple[int, ...], inputs: dict[int, tuple[str, list[int]]], output: list[int]) -> Form:
    place = {number: i for i, number in enumerate(order)} | {INPUT: INPUT}

    def written(terms: list[int]) -> Form:
        return tuple(sorted(place[term] for term in terms))

    return (*((inputs[number][0], written(inputs[number][1])) for number in order), written(output))
