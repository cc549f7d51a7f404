"""Random search: architectures drawn with equal probability, with repetition."""

from dnas.blackbox.searcher import Problem, Searcher, Strategy, random_architecture


def searcher() -> Strategy:
    """It has no settings."""

    def build(problem: Problem) -> Searcher:
        return Searcher(
            init=lambda key: (),
            ask=lambda state, key: (state, random_architecture(key, problem.decisions)),
            tell=lambda state, architecture, score: state,
        )

    return Strategy(build)
