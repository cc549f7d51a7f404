"""What checks see of data, and what they say."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "fatal"]


@dataclass(frozen=True)
class Finding:
    """Something that is to be known of the data. kind: the check. where: a column, a class, a file, a part. action:
    what `dnas auto` does about it, "": nothing. "fatal": nothing can be learnt of such data before it is mended."""

    kind: str
    severity: Severity
    where: str
    sentence: str
    action: str = ""
