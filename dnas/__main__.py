"""The command `dnas`, also `python -m dnas`: Ctrl-C is quiet from the first moment, before anything is imported."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # the exit code


def main() -> int:
    """Run one command; gives the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from dnas import cli

        return cli.main()
    except KeyboardInterrupt:
        _say()
        return INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the process at once while a module is imported: there an exception becomes a long traceback, or is lost in
    code that cannot raise it. Elsewhere raise `KeyboardInterrupt` as usual."""
    caller = frame
    while caller is not None:
        if caller.f_code.co_filename.startswith("<frozen importlib"):
            _say()
            os._exit(INTERRUPTED)
        caller = caller.f_back
    signal.default_int_handler(number, frame)


def _say() -> None:
    os.write(2, b"dnas: interrupted\n")  # not sys.stderr, which may be in use where the signal came


if __name__ == "__main__":
    sys.exit(main())
