"""Too few examples to learn from, or to measure by."""

from collections.abc import Iterator

from dnas.automl.checks.protocol import TEST, Evidence, Finding

FEWEST = 20  # examples of all parts: with fewer there is nothing to split
FEW = 200  # of the train part
FEW_TEST = 50  # of the test part: one more right answer is 2 % of accuracy


def check(data: Evidence) -> Iterator[Finding]:
    count, tested = len(data), int((data.parts == TEST).sum())
    if count < FEWEST:
        sentence = f"There are {count} {data.what}: at least {FEWEST} are needed, and some hundreds are better."
        yield Finding("too_few", "fatal", "all parts", sentence)
    elif count - tested < FEW:
        sentence = f"There are {count - tested} {data.what} to learn from, so results depend on chance: give more."
        yield Finding("too_few", "warning", "train", sentence)
    if count >= FEWEST and tested < FEW_TEST:
        rough = f"a single one is {100 / max(1, tested):.1f} % of accuracy" if data.classes else "it measures roughly"
        yield Finding("too_few", "note", "test", f"The test part has {tested} {data.what}, so {rough}.")
