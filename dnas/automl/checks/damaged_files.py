"""Files that cannot be read, and rows of texts that are not whole."""

from collections.abc import Iterator

from dnas.automl.checks._groups import short
from dnas.automl.checks.protocol import Evidence, Finding, Texts

MOST = 0.5  # of all, beyond which something else is wrong


def check(data: Evidence) -> Iterator[Finding]:
    if not data.damaged:
        return
    count, total = len(data.damaged), len(data.damaged) + len(data)
    place, why = data.damaged[0]
    if isinstance(data.content, Texts):
        has = "has" if count == 1 else "have"
        said = f"{count:,} of {total:,} rows {has} no text or no class, as {place} ({why})"
    else:
        reason = why[why.find("(") + 1 : why.find(")")] if "(" in why else short(why.partition(" has ")[2] or why, 80)
        said = f"{count:,} of {total:,} files cannot be read, as {place} ({reason})"
    if count > MOST * total:
        yield Finding("damaged_files", "fatal", place, f"{said}: replace or remove them.")
    else:
        yield Finding("damaged_files", "warning", place, f"{said}.", "left out")
