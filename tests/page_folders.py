"""Folders as runs leave them, written at once: a search with a mix, a training that was tested, a comparison, a
black-box search; and data with faults."""

import base64
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dnas.config import Config, to_dict
from dnas.files import append
from dnas.runs import records

EDGES = {"1<-0": 1, "2<-0": 2, "2<-1": 3, "3<-0": 0, "3<-1": 1, "3<-2": 2}  # and the option that is found there
OPTIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def search(folder: Path, epochs: int = 4, *, also: str = "entropy_cell", command: str = "dnas search") -> Path:
    """Two seeds. also: what else its rows have."""
    random = np.random.default_rng(0)
    with records.create(folder, Config(space="nasbench201", seed=3, seeds=2), command) as run:
        for epoch in range(1, epochs + 1):
            for seed in (3, 4):
                about = {"step": 10 * epoch, "epoch": epoch, "seed": seed}
                numbers = {
                    name: float(random.random()) for name in ("train_loss", "valid_loss", "valid_accuracy", also)
                }
                run.log(about | numbers)
                weights = random.dirichlet(np.ones(len(OPTIONS)), len(EDGES))
                mix = {
                    edge: dict(zip(OPTIONS, map(float, row), strict=True))
                    for edge, row in zip(EDGES, weights, strict=True)
                }
                append(folder / "mix.jsonl", json.dumps(about | {"mix": {"cell": mix}}) + "\n")
        run.genotype(epochs, [cell(), cell()])
        run.data({"name": "digits", "train": 719, "valid": 719, "score": {"name": "accuracy", "more": True}})
    (folder / "cells_seed_3.png").write_bytes(picture(2))
    return folder


def cell(*names: str) -> dict[str, Any]:
    """A genotype of NAS-Bench-201; names: of operations instead of those of its first edges."""
    found = [*names, *(OPTIONS[place] for place in EDGES.values())][: len(EDGES)]
    edges = [[*map(int, edge.split("<-")), name] for edge, name in zip(EDGES, found, strict=True)]
    return {"space": "nasbench201", "cells": {"cell": {"edges": edges, "concat": None}}}


def training(
    folder: Path,
    classes: tuple[str, ...] = ("cat", "dog"),
    text: str = "a text",
    tested: Mapping[str, Any] | None = None,
) -> Path:
    """One seed, tested: two mistakes, an image and a text, or what is given."""
    with records.create(folder, Config(space="nasbench201", seed=1), "dnas retrain") as run:
        for epoch in (1, 2):
            row = {"step": epoch, "epoch": epoch, "seed": 1, "train_loss": 1 / epoch, "test_loss": 0.5}
            run.log(row | {"test_accuracy": 0.7031, "parameters": 12345, "learning_rate": 0.1})
        run.genotype(0, [cell()])
        run.data({"name": "mine", "test": 64, "classes": list(classes), "score": {"name": "accuracy", "more": True}})
    numbers = {"place": 7, "true": 0, "taken": 1, "probability": 0.9, "own": 0.1}
    examples = [{"image": base64.b64encode(picture(8)).decode()}, {"text": text}]
    test = {"data": "mine", "what": "images", "seed": 1, "classes": list(classes), "measures": {"accuracy": 0.7031}}
    test |= {"confusion": [[30, 12], [7, 15]], "mistakes": [numbers | example for example in examples]}
    (folder / "test.json").write_text(json.dumps(tested or test))
    (folder / "cells.png").write_bytes(picture(2))
    return folder


def tested_numbers(text: str = "a text") -> dict[str, Any]:
    """test.json of a table with numbers."""
    about = {"data": text, "what": "rows", "seed": 1, "target": text, "count": 64, "measures": {"rmse": 1.5}}
    return about | {"mistakes": [{"place": 7, "true": 3.0, "said": -1.25, "row": {text: text, "b": None}}]}


def tested_translations(text: str = "a text") -> dict[str, Any]:
    """test.json of texts that were translated."""
    about = {"data": text, "what": "texts", "seed": 1, "count": 64, "signatures": {"bleu": text}}
    about |= {"measures": {"perplexity": 3.5, "bleu": 21.3}}
    pair = {"text": text, "reference": f"of {text}", "written": f"for {text}", "chrf": 12.34, "bleu": 0.0}
    return about | {"mistakes": [{"place": 7} | pair]}


def comparison(folder: Path, name: str = "mine") -> Path:
    """Three ways with three searches each."""
    folder.mkdir(parents=True)
    rows, lines = list[dict[str, Any]](), ["method,seeds,retrained %"]
    for place, called in enumerate((name, "darts", "random cells")):
        scores = [0.9 - 0.1 * place, 0.91 - 0.1 * place, 0.92 - 0.1 * place]
        rows.append(
            {"name": called, "config": to_dict(Config()), "genotypes": [cell()] * 3, "trained": scores, "tabulated": []}
            | {"failed": "", "measure": {"name": "accuracy", "more": True}, "cost": {"seconds": 10.0 * 3**place}}
        )
        lines.append(f'"{called}",3,{100 * scores[1]:.2f} ± 1.00'.replace("\n", " "))
    (folder / "comparison.json").write_text(json.dumps(rows))
    (folder / "comparison.csv").write_text("\n".join(lines) + "\n")
    tests = ["method,other,seeds,other_seeds,test,p,p_holm,superiority"]
    tests += [f'"{name}",darts,3,3,permutation,0.02,0.04,1', "darts,random cells,3,3,permutation,0.1,0.1,1"]
    (folder / "comparison.tests.csv").write_text("\n".join(tests) + "\n")
    return folder


def blackbox(folder: Path, failed: str = "") -> Path:
    """Two runs of a searcher with three evaluations each, of two objectives. failed: why the last one has no score."""
    folder.mkdir(parents=True)
    config = {"searcher": "nsga2", "evaluator": "table:data=cifar10", "objective": "accuracy+mflops"}
    config |= {"budget": "3evaluations", "runs": 2, "seed": 0}
    (folder / "blackbox.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps({"command": "dnas blackbox", "python": "3.12"}))
    rows = [(60.5, 20.0), (70.25, 40.0), (65.125, 80.0), (61.0, 15.5), (72.75, 90.0), (50.0, 95.0)]
    lines = ["run,evaluation,seconds,architecture,accuracy,mflops,cifar10_test_200,failed"]
    for place, (accuracy, mflops) in enumerate(rows):
        run, number = divmod(place, 3)
        last = f',,,,"{failed}"' if failed and place == len(rows) - 1 else f",{accuracy},{mflops},{accuracy + 5},"
        lines.append(f"{run},{number + 1},{10.0 * (number + 1):.2f},3-1-0-2-1-{place % 5}{last}")
    (folder / "trials.csv").write_text("\n".join(lines) + "\n")
    front = [f"3-1-0-2-1-{place % 5},{rows[place][0]},{rows[place][1]}" for place in (4, 1, 3)]
    (folder / "front.csv").write_text("\n".join(["architecture,accuracy,mflops", *front]) + "\n")
    (folder / "genotype.json").write_text(json.dumps(cell()))

    def of(mean: float, std: float) -> dict[str, float]:
        return {"mean": mean, "std": std, "median": mean, "least": mean - std, "most": mean + std}

    summary = {"runs": 2, "evaluations": of(3, 0), "seconds": of(30, 0), "distinct": 2, "rank": of(120.5, 3)}
    summary |= {"objectives": {"accuracy": of(71.5, 1.25), "mflops": of(65, 25)}, "front": of(2.5, 0.5)}
    summary |= {"truths": {"cifar10_test_200": of(76.5, 1.25)}, "titles": {"cifar10_test_200": "CIFAR-10"}}
    summary |= {"hypervolume": of(0.6, 0.1), "quantity": "test accuracy [%]", "found": [], "spent": [30.0, 30.0]}
    summary["curve"] = [[1, 0.4, 0.35, 0.45], [2, 0.55, 0.5, 0.6], [3, 0.6, 0.55, 0.65]]
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def table(path: Path, name: str = "size", word: str = "small") -> Path:
    """Sixty rows of three columns, one of which says the target by itself, and ten rows that are there twice. name: of
    a column; word: a value of another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    lines = [[f"{random.normal():.3f}", (word, "large")[i // 2 % 2], "ab"[i % 2], "yn"[i % 2]] for i in range(60)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[name, "how", "same", "target"], *lines, *lines[:10]])
    return path


def images(folder: Path, name: str = "cat") -> Path:
    """Two classes with twenty images each, two of which are the same. name: of a class."""
    random = np.random.default_rng(0)
    for label in (name, "dog"):
        (folder / label).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).save(folder / label / f"{i}.png")
    (folder / "dog" / "1.png").write_bytes((folder / "dog" / "2.png").read_bytes())
    return folder


def picture(side: int) -> bytes:
    """A PNG."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "png")
    return file.getvalue()
