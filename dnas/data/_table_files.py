"""Files of tables as columns of texts: CSV of any delimiter, TSV, parquet. The first row names the columns."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from dnas.data._files import check_memory, decoded, reading
from dnas.errors import UserError
from dnas.paths import opened

DELIMITERS = ",;\t|"
MISSING = frozenset({"", "na", "nan", "null", "?"})  # whatever the case; what a missing cell may hold
TEXT_BYTES = 60  # that a cell takes in memory as a text
FEWEST_BYTES = 2  # that a cell of a file takes, delimiter included
REMEDY = "give a CSV, TSV or parquet file whose first row names the columns"


class Cells(NamedTuple):
    """Columns by name, each a list of N texts, "" where a value is missing. unnamed: how many more had no name."""

    columns: dict[str, list[str]]
    unnamed: int


def read(path: Path) -> Cells:
    """All cells of a file. Errors: `UserError` for a file that is missing, no table, or too large for the memory."""
    with reading(path, REMEDY), opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_memory(size // FEWEST_BYTES * TEXT_BYTES, f"The cells of {path}", "give fewer rows or columns")
        names, columns = _parquet(file, path) if path.suffix == ".parquet" else _text(file.read(), path)
    for name, times in Counter(name for name in names if name).most_common(1):
        if times > 1:
            raise UserError(f"{path} has {times} columns named '{name}': give every column a name of its own.")
    if not columns or not columns[0]:
        raise UserError(f"{path} has no rows below the names of its columns: {REMEDY}.")
    named = {name: column for name, column in zip(names, columns, strict=True) if name}
    return Cells(named, len(names) - len(named))


def _text(content: bytes, path: Path) -> tuple[list[str], list[list[str]]]:
    text = decoded(content, str(path), "save it in UTF-8")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text))
    names, lines = None, []
    for row in rows:
        if not any(cell.strip() for cell in row) and len(row) < 2:
            continue  # an empty line
        if names is None:
            names = [name.strip() for name in row]
        elif len(row) != len(names):
            raise UserError(
                f"Line {rows.line_num:,} of {path} has {len(row)} cells, but the first row names {len(names)} columns: "
                "give every row as many, with quotes around cells that have the delimiter in them."
            )
        else:
            lines.append([_cell(cell) for cell in row])
    if names is None:
        raise UserError(f"{path} is empty: {REMEDY}.")
    return names, [list(column) for column in zip(*lines, strict=True)]


def delimiter_of(text: str) -> str:
    """The one that parts the first row into the most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([first], delimiter=delimiter), [])))


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in MISSING else text


def _parquet(file: IO[bytes], path: Path) -> tuple[Sequence[str], list[list[str]]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path} is a parquet file, which pyarrow reads: pip install 'dnas[tables]'.") from None
    about = parquet.read_metadata(file)
    check_memory(about.num_rows * about.num_columns * TEXT_BYTES, f"The cells of {path}", "give fewer rows or columns")
    file.seek(0)
    table: Any = parquet.read_table(file)
    columns = [[_cell("" if v is None else str(v)) for v in column.to_pylist()] for column in table.columns]
    return table.column_names, columns
