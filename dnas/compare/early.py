"""What would be refused once it begins is refused before anything does: every search is built, and a training.

Nothing is compiled. What a folder holds already was built when it began, and is held against its config instead.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dnas import retrain
from dnas.architectures import genotype as genotypes
from dnas.architectures.genotype import Genotype, random
from dnas.blackbox import run as blackbox
from dnas.compare.check import base_of, of_row, space_of
from dnas.compare.experiment import AnyConfig, Baseline
from dnas.compare.protocol import Protocol
from dnas.compare.trainings import plain
from dnas.config import Config
from dnas.errors import UserError
from dnas.fields import differences
from dnas.runs import loop, records
from dnas.search.run import build


def check(configs: Mapping[str, AnyConfig], folder: Path, train: bool, protocol: Protocol) -> None:
    """configs: of a comparison, after `check.check`. Errors: `UserError` that names the row."""
    loop.prepare_process()
    for name, config in configs.items():
        out = folder / name
        if isinstance(config, Baseline):
            continue
        if not isinstance(config, Config):
            if out.is_dir():
                blackbox.known(out, config)
        elif records.holds_run(out):
            check_config(out, config)
        else:
            with of_row(f"'{name}'"):
                build(config)
    _check_trainings(configs, folder, train, protocol)


def _check_trainings(configs: Mapping[str, AnyConfig], folder: Path, train: bool, protocol: Protocol) -> None:
    base, baselines = base_of(configs), {name: one for name, one in configs.items() if isinstance(one, Baseline)}
    if base is None and not baselines:
        return
    space = space_of(configs)
    config = plain(base, protocol, protocol.settings(base.retrain)[0]) if train and base is not None else None

    def built(genotype: Genotype) -> None:
        if config is None:
            genotypes.check(genotype, space)
        else:
            retrain.build(config, genotype, allow_constant=True)

    for name, baseline in baselines.items():
        with of_row(f"'{name}'"):
            for genotype in dict.fromkeys(baseline.genotypes):
                built(genotype)
    if config is not None and not (folder / "cells").exists():
        with of_row("The training of found cells"):
            built(random(space, config.seed))


def check_config(folder: Path, config: Config) -> None:
    """Errors: `UserError` where a folder holds a run of another config."""
    saved = config
    with suppress(UserError):  # damaged: who goes on with the run puts it back, or says so
        saved = records.config_of(folder)
    if changed := differences(saved, config):
        raise UserError(f"{folder} was made with another config ({'; '.join(changed)}): choose another --out.")
