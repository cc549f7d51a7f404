"""`dnas report --serve`: the pages of all runs below a folder, for a browser of this machine, fresh while runs go on.

Nothing is served but pages that are made here from what lies below the folder, so that no address leads to a file
elsewhere; and nothing is run that a file or a name holds, as the browser is told to run no script but ours.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from dnas.errors import UserError
from dnas.paths import content_of
from dnas.reports import blackbox, comparison, html, listing, page, states

HOSTS = ("localhost", "127.0.0.1", "[::1]")
SIGNS = (
    *("metrics.jsonl", "mix.jsonl", "genotype.json", "test.json", "why.json", "comparison.csv", "report.html"),
    *("trials.jsonl", "summary.json"),
)
PLACES = (".", "genotypes", "checkpoints", "checkpoints/copies")  # of what a page reads
MOST_BYTES = 64 * 2**20  # of a page that others have made
KEPT = 16  # pages


class Site:
    """What there is below a folder: its pages by address."""

    def __init__(self, root: str | Path):
        """Errors: `UserError` where there is no such folder."""
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise UserError(f"There is no folder {root}: name one that holds runs, as in dnas report --serve runs.")
        self._made = lru_cache(KEPT)(self._make)  # of a page and its signature
        self._one = threading.Lock()  # a page at a time: they take a second, and parts are not made for several threads

    def answer(self, address: str) -> tuple[HTTPStatus, str, str]:
        """Of a path as it stands in an address: the status, the type of the content, the content."""
        what, _, rest = unquote(address).lstrip("/").partition("/")
        name = rest.removesuffix("/report.html").strip("/")  # a page names another by its file
        if what == "" and not name:
            return self._page(self._index)
        if what == "state" and not name:
            return HTTPStatus.OK, "text/plain", listing.signature(listing.found(self.root))
        folder = self._folder(name) if what in ("run", "state") else None
        if folder is None:
            return HTTPStatus.NOT_FOUND, "text/plain", "There is no such page."
        sign = _signature(folder)
        if what == "state":
            return HTTPStatus.OK, "text/plain", sign
        return self._page(lambda: self._made(folder, sign))

    def _page(self, make: Callable[[], str]) -> tuple[HTTPStatus, str, str]:
        with self._one:
            return HTTPStatus.OK, "text/html", make()

    def _folder(self, name: str) -> Path | None:
        """The folder of a page; None for whatever is none, or lies elsewhere."""
        if not name or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            return None
        folder = Path(os.path.realpath(self.root / name))
        inside = folder.is_relative_to(self.root) and folder != self.root
        whole = inside and folder.is_dir() and states.kind_of(folder) and not self._leads_out(folder)
        return folder if whole else None

    def _leads_out(self, folder: Path) -> bool:
        """Whether a link among the files of a page leads to what is not below the folder that is served."""
        links = (path for place in PLACES for path in (folder / place).glob("*") if path.is_symlink())
        return any(not Path(os.path.realpath(link)).is_relative_to(self.root) for link in links)

    def _index(self) -> str:
        entries = listing.found(self.root)
        shown = {"title": f"Runs in {self.root.name}", "entries": [listing.shown(entry) for entry in entries]}
        return html.render("index.html.jinja", shown, live="/state")

    def _make(self, folder: Path, sign: str) -> str:
        """A page; sign: of what it was made of."""
        state, kind = states.state_of(folder), states.kind_of(folder)
        live = f"/state/{quote(str(folder.relative_to(self.root)))}" if state == states.RUNNING else ""
        try:
            if kind == "run":
                return html.render("page.html.jinja", page.described(folder, state) | {"home": "/"}, live=live)
            if kind == "comparison":
                shown = comparison.described(folder, state) | {"home": "/"}
                return html.render("comparison.html.jinja", shown, live=live)
            if kind == "blackbox":
                return html.render("page.html.jinja", blackbox.described(folder, state) | {"home": "/"}, live=live)
            return content_of(folder / "report.html", MOST_BYTES).decode()
        except FileNotFoundError:
            return _sorry(f"{folder.name} has no page yet.", live)
        except (UserError, OSError, ValueError) as error:
            return _sorry(str(error), live)


def _sorry(sentence: str, live: str = "") -> str:
    return html.render("index.html.jinja", {"title": sentence, "entries": [], "home": "/"}, live=live)


def _signature(folder: Path) -> str:
    """Of all that a page is made of, as far as it changes."""
    parts: list[Any] = [states.state_of(folder)]
    for name in SIGNS:
        try:
            about = (folder / name).stat()
        except OSError:
            continue
        parts.append((name, about.st_mtime_ns, about.st_size))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    server_version, sys_version = "dnas", ""

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:  # a foreign name that was led to this machine
            self._send(HTTPStatus.FORBIDDEN, "text/plain", "Ask for localhost.")
            return
        self._send(*self.server.site.answer(urlsplit(self.path).path))

    do_HEAD = do_GET

    def _send(self, status: HTTPStatus, kind: str, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": html.policy(live=True) + "; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a page that asks every few seconds would fill the terminal."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site, port: int):
        self.site = site
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is none; anything else is a fault of ours and shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(root: str | Path, port: int) -> _Server:
    """A server of the pages below a folder, for this machine only. port: 0: any that is free.

    Errors: `UserError` for a folder that is none, and a port that cannot be had.
    """
    site = Site(root)
    try:
        return _Server(site, port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise UserError(
            f"Cannot serve at port {port} ({reason}): choose another --port, or 0 for a free one."
        ) from None
