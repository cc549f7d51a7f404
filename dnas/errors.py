"""The one exception a user sees without a traceback: `UserError`, one sentence that says what, where and what to do."""

import sys
import unicodedata
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import NoReturn


class UserError(Exception):
    """A mistake in the input. The command line prints its sentence, which is one line, and exits with code 2."""

    def __init__(self, sentence: str = ""):
        super().__init__(printable(sentence))


class StorageError(UserError):
    """A folder cannot be used, whatever was to be done in it: the disk is full or not ours, another process works
    there, it holds something else, or it is damaged."""


def run_script(main: Callable[[], int | None]) -> NoReturn:
    """Run the `main` of a script, and exit with its code; with one sentence and 2 where a user is mistaken, or names a
    file that cannot be read or written."""
    name = Path(sys.argv[0]).stem
    try:
        sys.exit(main())
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{name}: Cannot use {printable(str(error.filename))}: {error.strerror}.", file=sys.stderr)
    sys.exit(2)


def printable(text: str) -> str:
    """A text on one line, as a terminal shows it."""
    return "".join(map(_shown, text))


def _shown(letter: str) -> str:
    """A letter, or how one writes what no terminal shows: of a path with a line break, say."""
    shown = letter.isprintable() or unicodedata.category(letter) == "Zs"
    return letter if shown else letter.encode("unicode_escape").decode()


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that look like this one, or contain it; the most alike first, without those that look much less
    like it than the first."""
    known, lower = sorted(known), name.lower()
    near = get_close_matches(lower, known, n=3, cutoff=0.5)
    likeness = [SequenceMatcher(None, k, lower).ratio() for k in near]
    near = [k for k, like in zip(near, likeness, strict=True) if like > likeness[0] - 0.25]
    return near + [k for k in known if k not in near and len(name) > 2 and name.lower() in k.lower()]


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist: names the nearest ones, or all if none is near."""
    known = sorted(known)
    near = nearest(name, known)[:3]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known) or 'none'}."
    return UserError(f"Unknown {what} '{name}'. {hint}")
