"""`dnas list`."""

from dataclasses import dataclass
from pathlib import Path

from dnas import find
from dnas.architectures import zoo


@dataclass(frozen=True)
class List:
    """List operations, spaces, methods, data sets, published networks and experiments with one line each."""


def run(_: List) -> None:
    """`dnas list`."""
    _section("Operations", find.functions("dnas.nets.ops"))
    for what in find.PACKAGES:
        title = f"{what.capitalize()}s".replace("ys", "ies")
        found = find.described(what).items()
        lines = {name: f"{about.line} {about.paper}".rstrip() for name, about in found}
        _section(title, lines, {name: f"{name}:{about.settings}" for name, about in found if about.settings})
    published = (zoo.entry(name) for name in (*zoo.networks(), *zoo.transformers()))
    lines = {e.name: f"{e.parameters:,} parameters, {e.multiply_adds:,} multiply-adds" for e in published}
    _section("Published networks (dnas show NAME; cells as well, DARTS_V2 and others)", lines)
    folder = Path("experiments")
    if not folder.is_dir():
        folder = Path(__file__).parent.parent / "experiments"
    written = {str(path): about for path, about in find.experiments(folder).items()}
    settings = {name: about.settings.split(",") for name, about in written.items() if "," in about.settings}
    _section(
        "Experiments (FILE or FILE:SETTING)",
        {name: about.line for name, about in written.items()},
        {name: f":{' :'.join(names)}" for name, names in settings.items()},
    )


def _section(title: str, lines: dict[str, str], below: dict[str, str] | None = None) -> None:
    """A title, a line for every name, and below some of them a second one."""
    if not lines:
        return
    width = max(map(len, lines))
    print(title)
    for name, line in lines.items():
        print(f"  {name:<{width}}  {line}")
        if below and name in below:
            print(f"  {'':<{width}}  {below[name]}")
    print()
