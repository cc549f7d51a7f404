"""Pages: one file each, with pictures, numbers and script inside, and nothing from elsewhere.

A page is a template that extends `base.html.jinja` and takes its parts from `macros.html.jinja`. What it shows comes
from data, is escaped, and is never run: the one script is ours (`script.js`), and the page itself tells the browser to
run no other and to load nothing (its Content-Security-Policy).
"""

import base64
import hashlib
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from dnas.files import atomic_write

LONGEST = 500  # characters of a value on a page, of a vocabulary say
UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def render(template: str, shown: dict[str, Any], *, live: str = "") -> str:
    """The HTML of a page. shown: what the template takes, `title` among it. live: of a served page, the address that
    says whether there is anything new."""
    frame = {"style": Markup(_text("style.css")), "script": Markup(_text("script.js")), "policy": policy(bool(live))}
    return _templates().get_template(template).render({"live": live, "home": ""} | frame | shown)


def write(template: str, path: str | Path, shown: dict[str, Any]) -> Path:
    """`render` into a file. Errors: `StorageError` if it cannot be written; what was there stays."""
    page = render(template, shown)
    atomic_write(path, page.encode(errors="backslashreplace"))  # names of files may be no text
    return Path(path)


def policy(live: bool = False) -> str:
    """What a browser may do with a page: show its own pictures and run our script; of a live page, ask its server."""
    ours = base64.b64encode(hashlib.sha256(_text("script.js").encode()).digest()).decode()
    asks = " connect-src 'self';" if live else ""
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline';{asks} script-src 'sha256-{ours}'"


def as_json(value: Any) -> Markup:
    """Numbers and texts for the script, to stand in a <script type="application/json">: no text in it can end that.
    What is not a finite number is null."""
    return Markup(json.dumps(_finite(value), separators=(",", ":")).translate(UNSAFE))


def shown(value: Any) -> str:
    """A value as one reads it: numbers with five digits, whole ones as they are, long texts cut."""
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.5g}" if math.isfinite(value) else "not a number" if math.isnan(value) else "infinite"
        case list() | tuple():
            text = ", ".join(map(str, value))
        case _:
            text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters)"


def _finite(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


@cache
def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


@cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("dnas.reports", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    templates.filters |= {"shown": shown, "json": as_json}
    return templates
