"""Files that cannot be read."""

from collections.abc import Iterator

from dnas.automl.checks.protocol import Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    if data.damaged:
        count, total = len(data.damaged), len(data.damaged) + len(data)
        place, why = data.damaged[0]
        reason = why[why.find("(") + 1 : why.find(")")] if "(" in why else "unreadable"
        sentence = f"{count:,} of {total:,} files cannot be read, as {place} ({reason}): replace or remove them."
        yield Finding("damaged_files", "fatal", place, sentence)
