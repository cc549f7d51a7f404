"""Searches of a comparison: what is finished is read, the rest is run or gone on with."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dnas import search
from dnas.architectures.genotype import Genotype, from_json, to_json
from dnas.blackbox import jobs
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.compare import correlation, costs
from dnas.compare.protocol import Protocol
from dnas.compare.rows import Rank, Row
from dnas.compare.trainings import AGAIN
from dnas.config import Config, from_dict, to_dict
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import HostEvaluator
from dnas.fields import differences
from dnas.files import atomic_write, read_sealed, sealed, warn
from dnas.runs import diverged, loop, records

UNKNOWN = 0.0  # of a cost


def searched(name: str, config: Config, folder: Path, protocol: Protocol, quiet: bool) -> Row:
    """A search with gradients, what it cost, and how it orders cells; one that fails is a row that says so."""
    out = folder / name
    if known := _known(out / "found.json"):
        if changed := differences(known[0], config):
            raise UserError(f"{out} was made with another config ({'; '.join(changed)}): choose another --out.")
        genotypes, seconds = known[1], known[2]
    else:
        try:
            with _timed(out / "seconds.json") as spent:
                result = search.run(config, out, resume=records.holds_run(out), quiet=quiet)
            diverged.refuse_any(result.diverged)  # a mean of the others would flatter
        except StorageError:  # full, damaged or in use: says nothing about the method
            raise
        except UserError as error:
            loop.say(f"{name}: {error}", quiet)
            return Row(name, config, [], 0.0, [], [], str(error))
        seconds, genotypes = spent(), list(result.genotypes)
        found = {"config": to_dict(config), "genotypes": [to_json(g) for g in genotypes], "seconds": seconds}
        atomic_write(out / "found.json", sealed(found))
    row = Row(name, config, genotypes, seconds, [], [])
    try:
        row = row._replace(flop=_numbers(out / "cost.json", {}, lambda: [costs.of_search(out, config)])[0])
    except StorageError:
        raise
    except UserError as error:  # the data are gone, say; what was found is known
        warn(f"What '{name}' computed is not counted: {error}")
    return row._replace(mix_ranks=correlation.of_mixes(out, config), supernet_ranks=_ranks(out, config, protocol))


def tried(name: str, config: BlackboxConfig, folder: Path, quiet: bool) -> Row:
    """A search by a searcher, and what it cost. Errors: `UserError` for a folder that holds something else."""
    out = folder / name
    result = blackbox.run(config, out, quiet=quiet)

    def spent() -> list[float]:
        evaluator = jobs.build(config).evaluator
        seconds, flop = float(sum(result.seconds)), costs.of_trials(out, evaluator) or UNKNOWN
        if isinstance(evaluator, HostEvaluator) and evaluator.source:
            before = _before(name, Path(evaluator.source))
            seconds, flop = (
                own + config.runs * one if own and one else UNKNOWN
                for own, one in zip((seconds, flop), before, strict=True)
            )
        return [seconds, flop]

    seconds, flop = _numbers(out / "cost.json", {}, spent)
    return Row(name, config, list(result.found), seconds, [], [], flop=flop or None)


def _before(name: str, folder: Path) -> tuple[float, float]:
    """The seconds and the operations of one seed of the search whose supernet evaluates."""
    config, found, flop = records.config_of(folder), _known(folder / "found.json"), UNKNOWN
    try:
        flop = costs.of_search(folder, config) / config.seeds
    except StorageError:
        raise
    except UserError as error:
        warn(f"What '{name}' computed is not counted: {error}")
    if found is None:
        warn(
            f"The search in {folder} is no row of a comparison, so nobody knows how long it took: the seconds of "
            f"'{name}' are not counted."
        )
    return UNKNOWN if found is None else found[2] / config.seeds, flop


def _ranks(out: Path, config: Config, protocol: Protocol) -> tuple[Rank, ...]:
    """How the supernet of every seed orders cells, where that is wanted."""
    if not protocol.supernet_cells:
        return ()
    asked = {"cells": protocol.supernet_cells, "batches": protocol.supernet_batches}
    numbers = _numbers(out / "supernet.json", asked, lambda: correlation.of_supernets(out, config, **asked))
    return tuple(map(Rank, numbers[::2], numbers[1::2]))


def _numbers(file: Path, asked: dict[str, int], compute: Callable[[], list[float]]) -> list[float]:
    """Those that a file keeps of what was asked for, else computed and kept there."""
    try:
        known = read_sealed(file, AGAIN)
        if known is not None and known["asked"] == asked:
            return [float(number) for number in known["numbers"]]
    except (UserError, KeyError, TypeError, ValueError):
        warn(f"{file} is damaged: {AGAIN}.")
    numbers = compute()
    atomic_write(file, sealed({"asked": asked, "numbers": numbers}))
    return numbers


def _known(file: Path) -> tuple[Config, list[Genotype], float] | None:
    """The config, the genotypes and the seconds of a search that is finished; else None. If the file is damaged too:
    the search, gone on with, ends at once and says them again."""
    try:
        if (known := read_sealed(file, AGAIN)) is None:
            return None
        config, genotypes = from_dict(known["config"]), [from_json(g) for g in known["genotypes"]]
        if len(genotypes) == config.seeds:
            return config, genotypes, float(known["seconds"])
    except (UserError, KeyError, TypeError, ValueError):
        pass
    warn(f"{file} is damaged: {AGAIN}.")
    return None


@contextmanager
def _timed(file: Path) -> Iterator[Callable[[], float]]:
    """Gives the seconds spent inside, now and before an interruption, which the file keeps."""
    hint = 'write {"seconds": 3600} into it, or how many the search has taken, or remove it to count from now on'
    known, began, ours = read_sealed(file, hint) or {"seconds": 0.0}, time.perf_counter(), True
    before = known.get("seconds")
    if not isinstance(before, (int, float)):
        raise StorageError(f"{file} is damaged, it holds no seconds: {hint}.")

    def spent() -> float:
        return before + time.perf_counter() - began

    try:
        yield spent
    except StorageError:  # the disk is full, or the folder is another's
        ours = False
        raise
    finally:
        if ours and (file.parent / "config.json").exists():
            atomic_write(file, sealed({"seconds": spent()}))
