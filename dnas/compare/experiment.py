"""What an experiment file compares: `configs()`, and `protocol()` where more than one training of a cell is wanted."""

from pathlib import Path

from dnas import config as configs
from dnas.blackbox.config import BlackboxConfig, parse_budget
from dnas.compare.protocol import Protocol
from dnas.config import Config
from dnas.errors import UserError

AnyConfig = Config | BlackboxConfig


def budget_of(config: AnyConfig) -> str:
    """What its networks may cost, as it is written; empty: anything."""
    return (config.budget if isinstance(config, Config) else parse_budget(config.budget).limits).strip()


def load(source: str | Path) -> tuple[dict[str, AnyConfig], Protocol]:
    """Of FILE.py, or of FILE.py:SETTING: searches by name, those of gradients and black boxes together, and how they
    are judged.

    Errors: `UserError` if the file is missing, fails, or gives something else.
    """
    made, path, _ = configs.made_by(source, "configs", "comparison")
    if not isinstance(made, dict) or not all(isinstance(value, AnyConfig) for value in made.values()):
        raise UserError(f"configs() in {path} must return a dictionary of Config and BlackboxConfig by name.")
    protocol = configs.called(path, "protocol", None, optional=True)
    if not isinstance(protocol, Protocol | None):
        raise UserError(f"protocol() in {path} must return a dnas.compare.Protocol, not {type(protocol).__name__}.")
    found = {str(name): configs.from_dict(configs.to_dict(value), type(value)) for name, value in made.items()}
    return found, protocol or Protocol()
