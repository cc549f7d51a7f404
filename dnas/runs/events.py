"""What a run writes for TensorBoard: `events/`, one file for each continuation."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnas.files import storage


class Events:
    """The open file of a run. It is made with the first event."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._forget_from: int | None = None

    def scalars(self, step: int, values: dict[str, float | None]) -> None:
        """Numbers by tag; None is left out."""
        from tensorboardX.proto.summary_pb2 import Summary

        known = [Summary.Value(tag=tag, simple_value=v) for tag, v in values.items() if v is not None]
        if known:
            self._write(step, Summary(value=known))

    def text(self, tag: str, text: str, step: int) -> None:
        """A text (Markdown)."""
        from tensorboardX import summary

        self._write(step, summary.text(tag, text))

    def forget(self, step: int) -> None:
        """TensorBoard is to forget this step and later ones of the files so far."""
        self.close()
        self._forget_from = step

    def close(self) -> None:
        """The next event gets a new file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):  # every event was flushed when it was written, and an error raised then
                writer.close()

    def _write(self, step: int, summary: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with storage(self._folder):
            self._writer = self._writer or self._opened()
            try:
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
                self._writer.flush()
            except OSError:
                self.close()  # nothing after half an event can be read
                raise

    def _opened(self) -> Any:
        # EventsWriter, not SummaryWriter: that one writes in a thread, which a full disk kills, and the next
        # call waits for ever. The number keeps a file of the same second from being overwritten.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(exist_ok=True)
        writer = EventsWriter(str(self._folder / "events"), f".{len(list(self._folder.iterdir())):04d}")
        if self._forget_from is not None:
            log = SessionLog(status=SessionLog.START)
            writer.write_event(Event(wall_time=time.time(), step=self._forget_from, session_log=log))
            self._forget_from = None
        return writer
