"""What a table knows of the cell that a search would end with now: logged, and used for nothing.

Collapse is then a curve: the accuracies of the cells that a search passes through, and their rank.
"""

from collections.abc import Callable

from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Space
from dnas.tables import nasbench201

NAME = "truth"  # what the fields of the rows begin with


def of_space(space: Space) -> Callable[[Genotype], dict[str, float]]:
    """genotype -> test accuracies in percent by data set, `truth_cifar10` and so on, and `truth_rank`, by the first of
    them; nothing for cells of another space than NAS-Bench-201's.

    Errors: `UserError` if the table is damaged, before a search begins.
    """
    if space.name != "nasbench201":
        return lambda genotype: {}
    table = nasbench201.table()
    first, last = next(iter(table.datasets)), table.epochs[-1]
    ranks = table.ranks(table.column(first, f"test_{last}"))

    def truth(genotype: Genotype) -> dict[str, float]:
        if (place := nasbench201.place_of(genotype)) is None:
            return {}
        accuracies = {f"{NAME}_{name}": float(table.column(name, f"test_{last}")[place]) for name in table.datasets}
        return accuracies | {f"{NAME}_rank": int(ranks[place])}

    return truth
