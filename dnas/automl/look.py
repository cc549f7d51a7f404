"""Looking at data before anything is learnt: what they are, how much, what is wrong with them.

`look("flowers/")` guesses what the data are from what is in them and says the choice that all commands take, as
`image_folder:path=flowers,size=32`, and what the checks of `checks/` find.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dnas import find
from dnas.automl.checks._groups import listed
from dnas.automl.checks.protocol import PARTS, Check, Columns, Evidence, Finding, Images, Sounds, Texts
from dnas.automl.gather import columns, images, sounds, texts
from dnas.automl.guess import Guess, guess
from dnas.data import Dataset, load
from dnas.data._audio import Recordings
from dnas.data._sentences import Sentences
from dnas.data._tables import Table
from dnas.errors import UserError, unknown

__all__ = ["Examined", "Finding", "Look", "examine", "look"]

MOST_ALIKE = 6  # findings of a check that columns are left out for, one by one
SEVERITIES = ("fatal", "warning", "note")  # the worst first
WITHOUT = ("without_damaged", "without_empty")  # settings of data sets that leave out what cannot be read
OF_MEMORY: dict[type, Callable[[Any], Evidence]] = {
    Dataset: images.of_arrays,
    Table: columns.of_table,
    Sentences: texts.of_sentences,
    Recordings: sounds.of_recordings,
}


@dataclass(frozen=True)
class Look:
    """data: the choice that all commands take. task: by name, as `dnas list` has them. sizes: examples of each part
    ("train", "valid", "test"), and how large an example is. classes: none where a number is predicted; counts: how many
    examples each has. how: sentences that say how what was not said was guessed."""

    data: str
    task: str
    sizes: dict[str, int]
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    findings: tuple[Finding, ...]
    how: tuple[str, ...] = ()

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """Those of the findings after which nothing can be learnt."""
        return tuple(finding for finding in self.findings if finding.severity == "fatal")

    def require(self) -> None:
        """Errors: `UserError` with the sentence of the first fatal finding, if there is one."""
        if self.fatal:
            raise UserError(self.fatal[0].sentence)


class Examined(NamedTuple):
    """A look, what it is made of, and how long it took [s]."""

    look: Look
    evidence: Evidence
    seconds: float


def look(data: str | Path, *, target: str | None = None, keep: tuple[str, ...] = ()) -> Look:
    """data: a folder, a file, or a data set by name. target: of a table, the column to predict; None: guessed. keep:
    columns of a table that stay although a check would leave them out.

    Errors: `UserError` for what is no data, or of which no part can be read.
    """
    return examine(data, target=target, keep=keep).look


def examine(data: str | Path, *, target: str | None = None, keep: Collection[str] = ()) -> Examined:
    """The same, with the evidence, which pictures are drawn of."""
    began = time.monotonic()
    found = guess(str(data), target)
    evidence, settings = _gathered(found)
    _check_keep(keep, evidence.content)
    findings = _found(evidence, keep, found.settings)
    if isinstance(evidence.content, Columns):
        settings = _with_columns(settings, findings) if "path" in settings else settings
        left = _left(evidence.content, findings)
        evidence.sizes["columns"] = len(left)
        if not left:
            sentence = f"No column but the target '{evidence.content.target}' is left to learn from: --keep keeps one."
            findings = _sorted([*findings, Finding("nothing_left", "fatal", "all columns", sentence)])
    told = {part: int((evidence.parts == place).sum()) for place, part in enumerate(PARTS)}
    looked = Look(
        data=find.written(found.name, settings),
        task=evidence.task,
        sizes={part: count for part, count in told.items() if count or part != "valid"} | evidence.sizes,
        classes=evidence.classes,
        counts=tuple(evidence.counts().tolist()) if evidence.classes else (),
        findings=tuple(findings),
        how=found.how,
    )
    return Examined(looked, evidence, time.monotonic() - began)


def _gathered(found: Guess) -> tuple[Evidence, dict[str, str]]:
    """The evidence, and the settings with those that it says."""
    settings, choice = found.settings, find.written(found.name, found.settings)
    _, typed = find.checked("data set", choice)
    typed = {key: value for key, value in typed.items() if key not in WITHOUT}
    match found.name:
        case "image_folder" if typed.get("path"):
            evidence = images.of_folder(**typed)
            size = {"size": str(evidence.sizes["height"])}
            return evidence, _with(settings, size | _without("without_damaged", evidence))
        case "audio_folder" if typed.get("path"):
            evidence = sounds.of_folder(**typed)
            rate = {"sample_rate": str(evidence.sizes["sample_rate"])}
            return evidence, _with(settings, rate | _without("without_damaged", evidence))
        case "text_table" if typed.get("path"):
            evidence = texts.of_files(**typed)
            return evidence, _with(settings, _without("without_empty", evidence))
        case "table" if typed.get("path"):
            return columns.of_file(**typed, cells=found.cells), settings
    loaded: Any = load(choice)
    kind = next((kind for kind in OF_MEMORY if isinstance(loaded, kind)), None)
    if kind is None:
        raise UserError(
            f"The data set '{found.name}' is for the task '{loaded.task}', which is not looked at: give images, a "
            "table, texts with a class or recordings."
        )
    return OF_MEMORY[kind](loaded), settings


def _without(name: str, evidence: Evidence) -> dict[str, str]:
    return {name: "true"} if evidence.damaged else {}


def _with(settings: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """Settings with those of others that they do not say."""
    return settings | {name: value for name, value in more.items() if name not in settings}


def _found(evidence: Evidence, keep: Collection[str], said: Mapping[str, str]) -> list[Finding]:
    """What all checks find, the worst first; of what they would change, not what somebody said."""
    findings = [_as_said(_kept(one, keep), said) for check in _checks() for one in check(evidence)]
    return _sorted(_together(list(_once(findings))))


@cache
def _checks() -> tuple[Check, ...]:
    return tuple(find.available("check").values())


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """A column that several checks leave out is left out once, for the worst of their reasons."""
    left_out = set[str]()
    for finding in sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.kind != "leaks")):
        if finding.without and {*finding.without} <= left_out:
            continue
        left_out |= {*finding.without}
        yield finding


def _together(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Of many columns of which a check says the same, the first few by themselves and all others as one."""
    counts = Counter(_sort(one) for one in findings if one.without)
    seen, others = Counter[tuple[str, ...]](), dict[tuple[str, ...], list[Finding]]()
    for one in findings:
        seen[_sort(one)] += 1
        if not one.without or counts[_sort(one)] <= MOST_ALIKE or seen[_sort(one)] < MOST_ALIKE:
            yield one
        else:
            others.setdefault(_sort(one), []).append(one)
    for alike in others.values():
        names = tuple(name for one in alike for name in one.without)
        sentence = f"The same is to be said of {len(names):,} more columns ({alike[0].kind}): {listed(names)}."
        yield replace(alike[0], where=f"{len(names):,} columns", sentence=sentence, action="left out", without=names)


def _sort(finding: Finding) -> tuple[str, ...]:
    return finding.kind, finding.severity


def _kept(finding: Finding, keep: Collection[str]) -> Finding:
    if finding.without and {*finding.without} <= {*keep}:
        return replace(finding, action="kept, as --keep says", without=())
    return finding


def _as_said(finding: Finding, said: Mapping[str, str]) -> Finding:
    """A finding beside the settings that a user gave: what cannot be read is in the way where it is not to be left out,
    and a column of categories stays one."""
    kept = next((name for name in WITHOUT if said.get(name, "").lower() == "false"), "")
    if finding.kind == "damaged_files" and kept and finding.severity != "fatal":
        sentence = f"{finding.sentence[:-1]}, and {kept}=false keeps them: remove them, or say {kept}=true."
        return replace(finding, severity="fatal", sentence=sentence, action="")
    if {*finding.numbers} & {*said.get("categories", "").split("+")}:
        return replace(finding, action="read as categories, as was said", numbers=())
    return finding


def _check_keep(keep: Collection[str], content: Images | Columns | Texts | Sounds) -> None:
    if keep and not isinstance(content, Columns):
        raise UserError("Only tables have columns to keep: leave out --keep.")
    for name in keep:
        if isinstance(content, Columns) and name not in (known := [column.name for column in content.columns]):
            raise unknown("column to keep:", name, known)


def _left(content: Columns, findings: Iterable[Finding]) -> list[str]:
    left_out = {name for finding in findings for name in finding.without}
    return [column.name for column in content.columns if column.name not in left_out]


def _with_columns(settings: dict[str, str], findings: Iterable[Finding]) -> dict[str, str]:
    """The settings of `table`, with the columns that findings leave out, or read as numbers, beside those that were
    given."""
    more = dict[str, str]()
    for key, found in (
        ("without", [name for finding in findings for name in finding.without]),
        ("numbers", [name for finding in findings for name in finding.numbers]),
    ):
        if names := list(dict.fromkeys(found)):
            more[key] = "+".join([settings[key], *names] if settings.get(key) else names)
    return settings | more
