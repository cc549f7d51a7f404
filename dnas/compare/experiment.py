"""What an experiment file compares: `configs()`, and `protocol()` where more than one training of a cell is wanted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dnas import config as configs
from dnas.architectures.genotype import Genotype, read
from dnas.blackbox.config import BlackboxConfig, parse_budget
from dnas.compare.protocol import Protocol
from dnas.config import Config
from dnas.errors import UserError
from dnas.ranges import Range, Seed


@dataclass(frozen=True)
class Baseline:
    """An architecture that is not searched for: made by hand, or found elsewhere. A row at no cost, whose network is
    trained as those of found cells are. With several seeds it is trained several times, and each is a score of the row.
    """

    genotype: str = ""
    """As `dnas retrain` takes it; of a file or run folder with several each is trained."""
    seeds: Annotated[int, Range(1, 10_000)] = 1
    """Trainings of each genotype; where the protocol has several, so many times as many."""
    seed: Seed = 0
    """Of the first training; the others follow."""

    def __post_init__(self) -> None:
        configs.check(self)

    @property
    def genotypes(self) -> list[Genotype]:
        """One for each score of the row, those of one genotype beside each other. Errors: `UserError`."""
        return [genotype for genotype in read(self.genotype) for _ in range(self.seeds)]

    def seeds_of(self, trainings: int) -> list[int]:
        """The first seed of each score's trainings, of which there are so many."""
        return [self.seed + trainings * number for number in range(self.seeds)] * len(read(self.genotype))


AnyConfig = Config | BlackboxConfig | Baseline


def budget_of(config: AnyConfig) -> str:
    """What its networks may cost, as it is written; empty: anything."""
    if isinstance(config, Baseline):
        return ""
    return (config.budget if isinstance(config, Config) else parse_budget(config.budget).limits).strip()


def load(source: str | Path) -> tuple[dict[str, AnyConfig], Protocol]:
    """Of FILE.py, or of FILE.py:SETTING: searches by name, those of gradients and black boxes and baselines together,
    and how they are judged.

    Errors: `UserError` if the file is missing, fails, or gives something else.
    """
    made, path, setting = configs.made_by(source, "configs", "comparison")
    if not isinstance(made, dict) or not all(isinstance(value, AnyConfig) for value in made.values()):
        raise UserError(f"configs() in {path} must return a dictionary of Config, BlackboxConfig and Baseline by name.")
    protocol = configs.called(path, "protocol", setting, optional=True)
    if not isinstance(protocol, Protocol | None):
        raise UserError(f"protocol() in {path} must return a dnas.compare.Protocol, not {type(protocol).__name__}.")
    found = {str(name): configs.from_dict(configs.to_dict(value), type(value)) for name, value in made.items()}
    return found, protocol or Protocol()
