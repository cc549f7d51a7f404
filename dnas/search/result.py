"""What a search leaves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dnas.architectures.genotype import Genotype
from dnas.config import Config
from dnas.tasks.task import Score


@dataclass(frozen=True)
class Result:
    """What a search leaves."""

    folder: Path
    config: Config
    genotypes: tuple[Genotype, ...]
    """Of every seed."""
    scores: tuple[float, ...]
    """The supernet's validation score of every seed: the last, of the epoch that counts, or with what was selected."""
    score: Score = Score("accuracy")
    """Which measure that is."""

    @property
    def genotype(self) -> Genotype:
        """The genotype of the seed with the best validation score."""
        return self.genotypes[int(np.argmax([self.score.signed(value) for value in self.scores]))]
