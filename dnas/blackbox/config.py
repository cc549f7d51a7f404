"""A black-box search, fully described."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from dnas import config as configs
from dnas.config import from_dict, to_dict
from dnas.errors import UserError
from dnas.ranges import Range, Seed

MOST_EVALUATIONS = 100_000
MOST_SECONDS = 1e12
UNITS = ("evaluations", "s")


@dataclass(frozen=True)
class WarmupConfig:
    """Before a run, random architectures are ranked by something cheap; its first proposals are the best of them."""

    evaluator: str = ""
    """What ranks them, by its first measure, as proxy:proxy=nwot; empty: no warm-up. Its seconds count."""
    pool: Annotated[int, Range(1, 100_000)] = 1000
    """Different random architectures for each run."""
    first: Annotated[int, Range(1, 10_000)] = 10
    """How many of the best a run begins with."""


@dataclass(frozen=True)
class BlackboxConfig:
    """Runs of one searcher. Choices are written `name` or `name:key=value,...`; see `dnas list`."""

    searcher: str = "evolution"
    """What proposes architectures."""
    evaluator: str = "table"
    """What says how good they are, and what that costs: table, train, supernet, or another of dnas list."""
    objective: str = "accuracy"
    """The measure of the evaluator to search for, or a cost of dnas list, as latency:device=raspi4; a+b or a,b for
    several at once, whose front is searched for; a reward as MnasNet's, accuracy*(latency:device=raspi4/20)^-0.07."""
    budget: str = "12000s"
    """When a run ends: after so many evaluations, as in 300evaluations, of which one at a ninth of the fidelity counts
    as a ninth, or seconds of the evaluator's account; and what networks may cost, 300evaluations,parameters<3e6, by the
    costs of dnas list. A proposal beyond that is not evaluated and costs nothing: another one is drawn instead, and
    searchers that are no program are told the worst score of the run."""
    past_budget: Literal["dropped", "interpolated"] = "dropped"
    """Of a budget in seconds: the evaluation that goes beyond it does not count (NAS-Bench-201), or in part: what is
    found is interpolated between the last two (NATS-Bench)."""
    runs: Annotated[int, Range(1, 10_000)] = 500
    """Independent runs, in one program where searcher and evaluator are traced, else one after the other; the command
    has 1 as default for an evaluator that takes its time."""
    seed: Seed = 0
    """All randomness follows from it; run i does not depend on how many there are."""
    warmup: WarmupConfig = field(default_factory=WarmupConfig)

    def __post_init__(self) -> None:
        configs.check(self)

    @property
    def label(self) -> str:
        """The searcher, as figures name it."""
        return f"{self.searcher}, warmed up" if self.warmup.evaluator else self.searcher


class Budget(NamedTuple):
    """amount: of evaluations or of seconds. limits: of what networks cost, as `costs.budget` reads it."""

    amount: float
    unit: str
    limits: str = ""


def parse_budget(text: str) -> Budget:
    """`"300evaluations"` or `"12000s"`, and behind a comma limits of costs. Errors: `UserError` for anything else, for
    zero and for too much."""
    if "<" in text:
        length, comma, limits = text.partition(",")
        if "<" in length or not comma:
            raise UserError(
                f"The budget '{text}' says what networks may cost and not when a run ends: write it before, as in "
                f"300evaluations,{text.strip()}."
            )
        return parse_budget(length)._replace(limits=limits.strip())
    match = re.fullmatch(r"\s*(-?[\d_,]*\.?\d+(?:[eE][+-]?\d+)?)\s*([a-z]+)\s*", text)
    if match is None or match[2] not in UNITS:
        raise UserError(f"A budget is written 300evaluations or 12000s, not '{text}'.")
    amount, most = float(re.sub("[_,]", "", match[1])), MOST_EVALUATIONS if match[2] == UNITS[0] else MOST_SECONDS
    if match[2] == UNITS[0] and (amount < 1 or amount != int(amount)):
        raise UserError(f"The budget '{text}' is no whole number of evaluations, of which a run needs at least 1.")
    if not 0 < amount <= most:
        raise UserError(f"The budget '{text}' must be above 0 and at most {most:,.0f} {match[2]}.")
    return Budget(amount, match[2])


def load_several(source: str | Path) -> dict[str, BlackboxConfig]:
    """The searches of an experiment file (.py) with `searches() -> {name: BlackboxConfig}`; of FILE.py:NAME that one.

    Errors: `UserError` if the file is missing, fails, or knows no such name.
    """
    made, path, setting = configs.made_by(source, "searches", "experiment", passed=False)
    if not isinstance(made, Mapping) or not all(isinstance(value, BlackboxConfig) for value in made.values()):
        raise UserError(f"searches() in {path} must return a dictionary of BlackboxConfig by name.")
    found = {str(name): from_dict(to_dict(value), BlackboxConfig) for name, value in made.items()}
    if setting is None:
        return found
    if setting not in found:
        raise configs.unknown(f"setting of {path}:", setting, found)
    return {setting: found[setting]}
