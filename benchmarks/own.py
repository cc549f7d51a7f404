"""Ours against ours: several seeds, rematerialised cells, more cells."""

import dataclasses
from argparse import Namespace
from typing import Any

from targets import Verdict, verdict
from turns import Setting, console, fresh_caches, measure

SEEDS, SEEDS_RATIO = 4, 4.1  # one program for four seeds, to the step of one
REMAT_SECONDS, REMAT_MEMORY = 1.35, 0.5  # of the step without; of PyTorch's peak memory
MORE_CELLS, MORE_CELLS_RATIO = 20, 1.3  # trace + compile, to that of the setting


def compare(setting: Setting, options: Namespace, torch_peak_mb: float | None) -> tuple[list[dict], list[Verdict]]:
    """Rows and verdicts.

    torch_peak_mb: PyTorch's peak memory in the same setting, if it was measured.
    """
    changes: dict[str, dict[str, Any]] = {
        "ours": {},
        f"ours {SEEDS} seeds": {"seeds": SEEDS},
        "ours remat": {"remat": True},
        f"ours {MORE_CELLS} cells": {"cells": MORE_CELLS},
        f"ours {MORE_CELLS} cells unrolled": {"cells": MORE_CELLS, "unroll": True},
    }
    with fresh_caches() as environment:
        named = {name: dataclasses.replace(setting, **change) for name, change in changes.items()}
        results, failed = measure(named, options, environment)
    row = {"title": f"{setting}: ours", "ratio": None, "best": None, "targets": {}, "sides": results, "failed": failed}
    for name, reason in failed.items():
        console.print(f"{name}: {reason}", highlight=False)
    return [row], list(_verdicts(setting, results, torch_peak_mb))


def _verdicts(setting: Setting, results: dict[str, dict], torch_peak_mb: float | None):
    base = results.get("ours")
    if base is None:
        return
    if several := results.get(f"ours {SEEDS} seeds"):
        ratio = several["median_seconds"] / base["median_seconds"]
        yield verdict(f"{setting}: step of {SEEDS} seeds, one program, to one seed's", ratio, SEEDS_RATIO)
    if remat := results.get("ours remat"):
        ratio = remat["median_seconds"] / base["median_seconds"]
        yield verdict(f"{setting}: step rematerialised, to the step without", ratio, REMAT_SECONDS)
        if torch_peak_mb is not None:
            wanted = REMAT_MEMORY * torch_peak_mb
            yield verdict(f"{setting}: peak memory rematerialised, MiB, to half of PyTorch's", remat["peak_mb"], wanted)
    if more := results.get(f"ours {MORE_CELLS} cells"):
        ratio = more["cold_seconds"] / base["cold_seconds"]
        what = f"trace + compile of {MORE_CELLS} cells, to {setting.cells}"
        yield verdict(f"{setting}: {what}", ratio, MORE_CELLS_RATIO)
