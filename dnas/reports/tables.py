"""A table as people pass it on: CSV, Markdown, LaTeX."""

import csv
import io
from collections.abc import Sequence

Lines = Sequence[Sequence[str]]
LATEX = str.maketrans({char: f"\\{char}" for char in "&%$#_{}"} | {"±": r"$\pm$", "~": r"\textasciitilde{}"})


def as_csv(header: Sequence[str], lines: Lines) -> str:
    """With commas and Unix ends of lines."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue()


def as_markdown(header: Sequence[str], lines: Lines) -> str:
    """The first column to the left, all others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    rows = [[cell.replace("|", r"\|") for cell in row] for row in (header, rule, *lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_latex(header: Sequence[str], lines: Lines) -> str:
    """A tabular with the rules of booktabs."""
    first, *rows = (" & ".join(cell.translate(LATEX) for cell in row) + r" \\" for row in (header, *lines))
    columns = "l" + "r" * (len(header) - 1)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", first, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*body, r"\end{tabular}", ""])
