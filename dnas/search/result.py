"""What a search leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """The supernet's validation score of every seed: the last, of the epoch that counts, or with what was selected; NaN
    where it diverged."""
    score: Score = Score("accuracy")
    """Which measure that is."""
    diverged: Mapping[int, int] = field(default_factory=dict)
    """Seeds whose loss became NaN or infinite, and at which step; what stands as their genotype says nothing."""

    @property
    def genotype(self) -> Genotype:
        """The genotype of the seed with the best validation score."""
        return self.genotypes[int(np.nanargmax([self.score.signed(value) for value in self.scores]))]
