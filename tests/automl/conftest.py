"""Data as people have them, in files."""

import csv
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WORDS = ("warm", "cold", "rain", "sun", "today", "tomorrow", "never", "often", "in", "the", "north")


@pytest.fixture
def write_table(tmp_path: Path):
    """A table of these columns: `write_table("a.csv", x=[1, 2], y=[0, 1])` -> its path."""

    def write(name: str, **columns: object) -> Path:
        rows = [list(columns), *zip(*columns.values(), strict=True)]
        if name.endswith(".jsonl"):
            lines = [json.dumps(dict(zip(rows[0], row, strict=True))) for row in rows[1:]]
            (tmp_path / name).write_text("\n".join(lines))
        else:
            with (tmp_path / name).open("w", newline="") as file:
                csv.writer(file, delimiter="\t" if name.endswith(".tsv") else ",").writerows(rows)
        return tmp_path / name

    return write


@pytest.fixture
def write_images(tmp_path: Path):
    """Images of noise: `write_images("flowers", {"rose": 15, "lily": 15})` -> the folder."""

    def write(name: str, counts: dict[str, int], size: tuple[int, int] = (12, 9)) -> Path:
        random = np.random.default_rng(0)
        for label, count in counts.items():
            (tmp_path / name / label).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / label / f"{i}.png")
        return tmp_path / name

    return write


@pytest.fixture
def write_sounds(tmp_path: Path):
    """Recordings of noise, a tenth of a second each, at a rate for each class."""

    def write(name: str, rates: dict[str, int], count: int = 12) -> Path:
        random = np.random.default_rng(0)
        for label, rate in rates.items():
            (tmp_path / name / label).mkdir(parents=True)
            for i in range(count):
                with wave.open(str(tmp_path / name / label / f"{i}.wav"), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(rate)
                    file.writeframes(random.integers(-9000, 9000, rate // 10).astype("<i2").tobytes())
        return tmp_path / name

    return write


@pytest.fixture
def sentences() -> list[str]:
    """60 of them, all different."""
    random = np.random.default_rng(0)
    return [f"{' '.join(random.choice(WORDS, 6))} at {i} degrees" for i in range(60)]
