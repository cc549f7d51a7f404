"""Selection: the genotype at the end of a search, by the accuracy of many with the supernet's weights.

Each piece is a `types.Selector`: (space, mix, evaluate, seed) -> genotype. The same seed tries the same architectures.
"""

from collections.abc import Callable
from typing import Any

from dnas import keys
from dnas.architectures.genotype import Genotype, as_mix, cross, mutate, random
from dnas.architectures.topology import Space
from dnas.errors import UserError
from dnas.search.discretise import strongest
from dnas.types import Mix, Selector

REFUSALS = 1000  # draws beyond a budget, for each that is wanted


def anything(genotype: Genotype) -> bool:
    """No budget."""
    return True


def norms(calibration: int) -> dict[str, Any]:
    """What a selection normalises a network by, as options of `method.View.evaluate`; see `method.Method`."""
    return {"calibrate": calibration} if calibration else {"train": True}


def random_search(
    rounds: int, samples: int, finalists: int, allowed: Callable[[Genotype], bool] = anything
) -> Selector:
    """The best of `rounds` times `samples` random genotypes: each round ranks them by the first validation batch and
    the `finalists` by the whole validation part (Li and Talwalkar 2019, section 3.3). What is not `allowed` is drawn
    anew."""
    _positive(rounds=rounds, samples=samples, finalists=finalists)

    def select(space: Space, mix: Mix, evaluate: Callable[..., float], seed: int) -> Genotype:
        generator, best = keys.generator(seed, "selection"), dict[Genotype, float]()
        for _ in range(rounds):
            drawn = some(distinct(lambda: random(space, generator), samples, {}, allowed))
            quick = {genotype: evaluate(as_mix(genotype, space), batches=1) for genotype in drawn}
            for genotype in top(quick, finalists):
                if genotype not in best:
                    best[genotype] = evaluate(as_mix(genotype, space))
        return top(best, 1)[0]

    return select


def evolution(
    population: int,
    generations: int,
    parents: int,
    mutation: float,
    allowed: Callable[[Genotype], bool] = anything,
) -> Selector:
    """Half of each generation crosses two of the `parents` best so far, half mutates one of them, and what is missing
    is random; the best of all that was tried (Guo et al. 2020, algorithm 1). Batches are normalised by themselves.
    What is not `allowed` is drawn anew."""
    _positive(population=population, generations=generations, parents=parents)
    if not 0 < mutation <= 1:
        raise UserError(f"A selection's 'mutation' is a probability above 0, not {mutation}.")

    def select(space: Space, mix: Mix, evaluate: Callable[..., float], seed: int) -> Genotype:
        generator, tried = keys.generator(seed, "selection"), dict[Genotype, float]()

        def parent() -> Genotype:
            best = top(tried, parents)
            return best[generator.integers(len(best))]

        for generation in range(generations):
            drawn: list[Genotype] = []
            if generation:
                drawn += distinct(lambda: cross(parent(), parent(), space, generator), population // 2, tried, allowed)
                known = tried | dict.fromkeys(drawn, 0.0)
                drawn += distinct(lambda: mutate(parent(), space, mutation, generator), population // 2, known, allowed)
            known = tried | dict.fromkeys(drawn, 0.0)
            drawn += distinct(lambda: random(space, generator), population - len(drawn), known, allowed)
            tried |= {genotype: evaluate(as_mix(genotype, space), train=True) for genotype in drawn}
        return top(some(tried), 1)[0]

    return select


def as_left(space: Space, mix: Mix, evaluate: Callable[..., float], seed: int) -> Genotype:
    """`discretise.strongest` of what the last look between epochs left, which comes after the genotype of its epoch."""
    return strongest(space, mix)


def distinct(
    draw: Callable[[], Genotype],
    count: int,
    known: dict[Genotype, Any],
    allowed: Callable[[Genotype], bool] = anything,
) -> list[Genotype]:
    """`count` new genotypes, or fewer where ten times as many draws that are allowed, or `REFUSALS` times as many in
    all, do not give that many."""
    found: dict[Genotype, None] = {}
    drawn = refused = 0
    while len(found) < count and drawn < 10 * count and refused < REFUSALS * count:
        genotype = draw()
        if genotype in known or genotype in found:
            drawn += 1
        elif allowed(genotype):
            drawn += 1
            found[genotype] = None
        else:
            refused += 1
    return list(found)


def some(found: Any) -> Any:
    """Errors: `UserError` where no draw was within the budget."""
    if not found:
        raise UserError("No architecture that was drawn is within the budget: give more.")
    return found


def top(values: dict[Genotype, float], count: int) -> list[Genotype]:
    """The best, ties to the one tried first."""
    return sorted(values, key=lambda genotype: -values[genotype])[:count]


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"A selection's '{name}' must be at least 1, not {number}.")
