"""Elements of drawings as text: what is put in is escaped, numbers have one decimal."""

from typing import Any

from markupsafe import Markup, escape


def element(name: str, *inside: Any, **attributes: Any) -> Markup:
    """`element("text", "a < b", x=1.25, class_="soft")` -> `<text x="1.2" class="soft">a &lt; b</text>`.

    Attributes that are None or empty are left out; an underscore at the end is one for Python only, others are hyphens.
    """
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    written = "".join(f' {key}="{escape(_shown(value))}"' for key, value in given if value not in (None, ""))
    content = "".join(map(escape, inside))
    return Markup(f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>")


def joined(parts: Any) -> Markup:
    """Elements behind each other."""
    return Markup("").join(parts)


def colour(value: str) -> str:
    """The style that gives an element its colour, which is brighter on a dark page."""
    return f"--c:{value}"


def path(points: Any) -> str:
    """x, y of every point."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _shown(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
