"""What a task has besides if a reader can be shown its examples."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from dnas.types import Tree


@runtime_checkable
class Showing(Protocol):
    """A `task.Task` that is `Answering`, and this."""

    def seen(self, part: str, place: int, x: Tree) -> Mapping[str, Any]:
        """An example of `labelled`, the one at a place of the part, x: {"image": uint8 [H, W, C]}, {"sound": int16
        [S]}, {"text": string} or {"row": {column: value}}."""
        ...
