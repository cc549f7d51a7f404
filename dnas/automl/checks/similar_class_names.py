"""Classes whose names differ by blanks, case or signs alone: probably one class."""

import re
from collections import defaultdict
from collections.abc import Iterator

from dnas.automl.checks._groups import listed
from dnas.automl.checks.protocol import Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    alike = defaultdict(list)
    for name in data.classes:
        alike[re.sub(r"[\W_]+", "", name.casefold()) or name].append(name)
    for names in alike.values():
        if len(names) > 1:
            sentence = f"The classes {listed(names)} differ in how they are written alone: give them one name."
            yield Finding("similar_class_names", "warning", "classes", sentence)
