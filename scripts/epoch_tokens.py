"""How long an epoch takes for texts of ever more tokens: training of language models and of classes of sentences.

    python scripts/epoch_tokens.py
    python scripts/epoch_tokens.py --works sentences sentences_in_buckets --tokens 50000 --out epoch_tokens.json

Texts are made, so nothing has to lie anywhere; sentences have 1 to --length tokens, most of them few. All programs are
compiled first; then they take turns, so that a busy machine slows all of them alike. An epoch that grows linearly has
the exponent 1: the slope of the logarithms of seconds over tokens. Padding is no token.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dnas import find
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig, WeightConfig
from dnas.data import Text
from dnas.data._sentences import Row, Sentences, of_rows
from dnas.runs import loop
from dnas.tasks import binding
from dnas.training.job import Job


class Work(NamedTuple):
    """What is trained: a space, the task with its settings, and whether its data are sentences or one text."""

    space: str
    task: str
    sentences: bool


WORKS = {
    "rnn": Work("rnn:nodes=4", "language:bptt=35", False),
    "transformer": Work("transformer:reads=decoder,size=small,dropout=0", "language:bptt=35", False),
    "sentences": Work("text:size=small,layers=3", "text_classification:max_length={length}", True),
    "sentences_in_buckets": Work("text:size=small,layers=3", "text_classification:max_length={length},buckets=4", True),
}
VOCABULARY, WORDS_OF_TEST = 1000, 200


class Point(NamedTuple):
    """tokens: of the train part. epoch() trains one epoch and waits for it. seconds: of each turn."""

    tokens: int
    epoch: Callable[[], None]
    seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="*", choices=WORKS, default=list(WORKS))
    parser.add_argument("--tokens", type=int, default=20_000, help="of the shortest text")
    parser.add_argument("--doublings", type=int, default=3, help="how often it is made twice as long")
    parser.add_argument("--channels", type=int, default=64, help="of networks whose width the space does not say")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=48, help="tokens of the longest sentence")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every text")
    parser.add_argument("--out", type=Path, help="write the results as JSON here")
    options = parser.parse_args()
    loop.prepare_process()
    console = Console(stderr=True)
    sizes = [options.tokens * 2**number for number in range(options.doublings + 1)]
    asked = [(name, size) for name in options.works for size in sizes]
    points = {
        (name, size): prepared(job_of(WORKS[name], size, options))
        for name, size in track(asked, "compiling", console=console)
    }
    for _ in track(range(options.rounds), "turns", console=console):
        for point in points.values():
            began = time.perf_counter()
            point.epoch()
            point.seconds.append(time.perf_counter() - began)
    rows = {name: row([points[name, size] for size in sizes]) for name in options.works}
    show(rows)
    if options.out:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
        about = {name: value for name, value in vars(options).items() if name != "out"}
        about |= {"commit": commit.stdout.strip(), "jax": jax.__version__, "device": jax.devices()[0].device_kind}
        options.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


def job_of(work: Work, tokens: int, options: argparse.Namespace) -> Job:
    """The training of a text of so many tokens."""
    data = sentences(tokens, options.length) if work.sentences else text(tokens)
    space = find.resolve("space", work.space)
    width = {"channels": options.channels} if "channels" in space.sizes else {}
    plan = RetrainConfig(
        **width,
        epochs=options.rounds + 1,
        batch_size=options.batch,
        cells=1,
        auxiliary=0.0,
        drop_path=0.0,
        augment=AugmentConfig(pad=0, flip=False),
        weights=WeightConfig(1e-3, "adam", "constant", decay=0.0),
    )
    config = Config(space=work.space, data="made", task=work.task.format(length=options.length), retrain=plan)
    task, plan = binding.bind(data, config, "retrain", space)
    return Job(replace(config, retrain=plan), space, random(space, np.random.default_rng(0)), task, quiet=True)


def prepared(job: Job) -> Point:
    """A training whose programs are compiled, after its first epoch."""
    progress = [job.first()]

    def epoch() -> None:
        progress[0] = jax.block_until_ready(job.advanced(progress[0], job.steps))

    epoch()
    arrays = job.task.arrays("train")  # of one text, or of sentences and their classes
    return Point(int((arrays[0] != 0).sum()) if isinstance(arrays, tuple) else len(arrays), epoch, [])


def text(tokens: int) -> Text:
    """Random words."""
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, VOCABULARY, size, np.int32) for size in (tokens, WORDS_OF_TEST, WORDS_OF_TEST)]
    return Text("made", *parts, tuple(map(str, range(VOCABULARY))))


def sentences(tokens: int, longest: int) -> Sentences:
    """Random words; lengths as of sentences of films, two fifths of the longest on average, and few are as long."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(longest * rng.beta(2.4, 3.6, 1 + 3 * tokens // longest)), 1, longest).astype(int)
    lengths = lengths[: 1 + int(np.searchsorted(np.cumsum(lengths), tokens))]

    def rows(lengths: np.ndarray) -> list[Row]:
        words = (" ".join(f"w{word}" for word in rng.integers(0, VOCABULARY, length)) for length in lengths)
        return [Row(sentence, "ab"[number % 2], f"sentence {number}") for number, sentence in enumerate(words, 1)]

    return of_rows("made", {"train": rows(lengths), "test": rows(lengths[:WORDS_OF_TEST])})


def row(points: list[Point]) -> dict:
    """Of one work: tokens, the median seconds of an epoch, and its exponent."""
    tokens, seconds = [point.tokens for point in points], [statistics.median(point.seconds) for point in points]
    slope = float(np.polyfit(np.log(tokens), np.log(seconds), 1)[0]) if len(points) > 1 else None
    return {"tokens": tokens, "seconds": [round(value, 4) for value in seconds], "exponent": slope and round(slope, 3)}


def show(rows: dict[str, dict]) -> None:
    table = Table("work", "tokens", box=None, pad_edge=False, header_style="bold")
    for name in ("seconds an epoch", "seconds a million tokens", "exponent"):
        table.add_column(name, justify="right")
    for name, found in rows.items():
        for number, (tokens, seconds) in enumerate(zip(found["tokens"], found["seconds"], strict=True)):
            first = (name, found["exponent"]) if not number else ("", None)
            exponent = "" if first[1] is None else f"{first[1]:.2f}"
            table.add_row(first[0], f"{tokens:,}", f"{seconds:.3f}", f"{seconds / tokens * 1e6:.2f}", exponent)
    Console().print(table)


if __name__ == "__main__":
    main()
