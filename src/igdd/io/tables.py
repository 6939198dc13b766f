"""Tables as people keep them, read strictly: CSV, TSV and xlsx, one header row, one table a file.

Nothing is repaired. A column of numbers is numbers; a column that is not stays text. Missing is an
empty cell or "n/a". Ragged rows, equal headers, decimal commas and spreadsheet errors are refused.
No formula is evaluated: the value that the spreadsheet program stored is taken, or it is an error.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.io import bounded

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 16 * 2**20  # bytes of text, and of a spreadsheet's parts once inflated
MOST_CELLS = 1_000_000
MOST_COLUMNS = 20_000
MOST_LINES = 300_000
MISSING = frozenset({"", "n/a", "N/A", "NaN", "nan"})
SEPARATORS = {".tsv": "\t", ".csv": ","}
WORKBOOKS = (".xlsx", ".xlsm")
LARGEST_NUMBER = 1e30  # no time, mass, count or activity is beyond it; squares stay finite

_NUMBER = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3})?")
# A whole column, its cells one below the other: cell by cell takes several times as long.
_NUMBERS = re.compile(rf"{_NUMBER.pattern}(?:\n{_NUMBER.pattern})*+")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
_LEADING_ZERO = re.compile(r"^0[0-9]+$", re.MULTILINE)

# What a damaged workbook makes the libraries raise.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_table(path: Path, text: Collection[str] = (), sheet: str | None = None) -> pd.DataFrame:
    """A table of a CSV, TSV or xlsx file: columns of float64 or of text, missing cells NaN or None.

    A column is numbers when every cell that is not missing is one; those named in `text`, and
    those with an entry such as "007", stay text. A separator other than the comma of .csv and the
    tab of .tsv is taken from the header where only one is possible. A workbook with several filled
    sheets needs `sheet`.
    """
    import pandas as pd

    path = Path(path)
    if path.suffix.lower() in WORKBOOKS:
        rows = list(_bounded_rows(_workbook_rows(path, sheet), path))
    else:
        rows = list(_bounded_rows(_text_rows(path), path))
    header, body = _header(rows, path)
    columns = {
        name: _column([row[i] for _, row in body], name, name in text, path)
        for i, name in enumerate(header)
    }
    lines = pd.Index([line for line, _ in body], name="line", dtype="int64")
    return pd.DataFrame(columns, index=lines)


def numbers(table: pd.DataFrame, column: str, source: str, factor: float = 1.0) -> np.ndarray:
    """A column times `factor` as float64 (missing cells NaN).

    An error names the first cell that is no number, or one that no measurement can give.
    """
    cells = table[column]
    if cells.dtype.kind != "f":
        for line, cell in cells.items():
            if isinstance(cell, str) and _number(cell) is None:
                raise InputError(
                    f"{source}: line {line}, column {column!r} holds {cell[:40]!r}; "
                    f"expected a number{_comma_remedy(cell)}"
                )
        cells = cells.map(lambda cell: float(cell) if isinstance(cell, str) else np.nan)
    values = cells.to_numpy(float)
    beyond = np.abs(values) > LARGEST_NUMBER / max(factor, 1.0)
    if beyond.any():
        raise InputError(
            f"{source}: line {cells.index[beyond][0]}, column {column!r} holds "
            f"{values[beyond][0]:g}; expected a number that can be measured"
        )
    return values * factor


def is_table(path: Path) -> bool:
    """Whether a path looks like a table file, by its extension."""
    return Path(path).suffix.lower() in (*SEPARATORS, *WORKBOOKS)


def header_cells(path: Path) -> list[str]:
    """Texts of the first line of a table, cheaply; none where it cannot be read."""
    try:
        if path.suffix.lower() in WORKBOOKS:
            return [str(name) for name in read_table(path).columns]
        line = bounded.read_head(path, 8192).decode("utf-8-sig", "replace").split("\n")[0]
    except InputError:
        return []
    return [cell.strip().strip('"') for cell in re.split("[\t,;]", line)]


def _number(cell: str) -> float | None:
    if not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    return value if np.isfinite(value) else None


def _comma_remedy(cell: str) -> str:
    return " with a decimal point, not a comma" if _COMMA.fullmatch(cell) else ""


def _text_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    content = bounded.read_text(path, LARGEST)
    if "\0" in content:
        raise InputError(f"{path}: holds NUL characters; expected text; save it as UTF-8")
    if content.count("\n") > MOST_LINES or content.count("\r") > MOST_LINES:
        raise InputError(f"{path}: more than {MOST_LINES} lines; expected a smaller table")
    head = next((line for line in io.StringIO(content) if line.strip()), "")
    separator = SEPARATORS.get(path.suffix.lower())
    if separator is None or separator not in head:
        possible = [mark for mark in "\t;," if mark in head]
        if len(possible) > 1:
            raise InputError(
                f"{path}: the header holds {' and '.join(map(repr, possible))}; "
                "expected one separator; save it as .csv (commas) or .tsv (tabs)"
            )
        separator = possible[0] if possible else separator or ","
    if content.count(separator) > MOST_CELLS:  # before a row of that many cells is built
        raise InputError(
            f"{path}: more than {MOST_CELLS} cells; expected a smaller table; split it"
        )
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            stripped = [cell.strip() for cell in row]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise InputError(
            f"{path}: line {reader.line_num}: {error}; expected separated values"
        ) from error


def _bounded_rows(
    rows: Iterable[tuple[int, list[str]]], path: Path
) -> Iterator[tuple[int, list[str]]]:
    """The rows, as long as they keep within the bounds of a table."""
    cells = 0
    for line, row in rows:
        cells += len(row)
        if cells > MOST_CELLS or len(row) > MOST_COLUMNS:
            raise InputError(
                f"{path}: line {line}: more than {MOST_COLUMNS} columns or {MOST_CELLS} cells; "
                "expected a smaller table; split it"
            )
        yield line, row


def _header(
    rows: Sequence[tuple[int, list[str]]], path: Path
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    if not rows:
        raise InputError(f"{path}: is empty; expected a header row and rows below it")
    line, header = rows[0]
    body = list(rows[1:])
    # Without columns that a spreadsheet program left empty at the right.
    header = header[: max(_filled(row) for _, row in rows)]
    width = len(header)
    if not all(header):
        raise InputError(
            f"{path}: line {line}: column {header.index('') + 1} has no header; "
            "expected a name for every column"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: line {line}: header {twice[0]!r} stands there twice; rename one of them"
        )
    for number, row in body:
        if len(row) < width or any(row[width:]):
            raise InputError(
                f"{path}: line {number} has {len(row)} cells; expected {width} as in the header; "
                "is a cell missing, or a decimal comma read as a separator?"
            )
    return header, body


def _filled(row: list[str]) -> int:
    """How many cells a row has up to its last filled one."""
    return next((number for number in range(len(row), 0, -1) if row[number - 1]), 0)


def _column(cells: list[str], name: str, as_text: bool, path: Path) -> Any:
    import pandas as pd

    present = [cell for cell in cells if cell not in MISSING]
    if not as_text and (values := _numbers(present)) is not None:
        column = np.full(len(cells), np.nan)
        column[[cell not in MISSING for cell in cells]] = values
        return column
    commas = [] if as_text else [cell for cell in present if _COMMA.fullmatch(cell)]
    if commas and _numbers([cell.replace(",", ".") for cell in present]) is not None:
        raise InputError(
            f"{path}: column {name!r} holds {commas[0]!r}; expected a decimal point, not a comma; "
            "save the table with decimal points"
        )
    return pd.array([None if cell in MISSING else cell for cell in cells], dtype=object)


def _numbers(cells: list[str]) -> np.ndarray | None:
    """Cells as numbers; None where one is no number, or an entry such as "007"."""
    below = "\n".join(cells)
    if below.count("\n") >= max(len(cells), 1) or _LEADING_ZERO.search(below):
        return None
    if cells and not _NUMBERS.fullmatch(below):
        return None
    values = np.array([float(cell) for cell in cells])
    return values if np.isfinite(values).all() else None


def _workbook_rows(path: Path, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    """Rows of one sheet as text, the numbers written so that they read back the same."""
    content = bounded.read_bounded(path, LARGEST)
    formulas = _check_parts(content, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations, which carry no value
            yield from _sheet_rows(content, path, sheet, formulas)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(
            f"{path}: is no sound xlsx workbook ({str(error)[:120]}); "
            "open it in a spreadsheet program and save it again, or save it as .csv"
        ) from error


def _check_parts(content: bytes, path: Path) -> bool:
    """Refuse a workbook that inflates beyond the bound or declares XML entities; any formulas?"""
    formulas = False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > 1000 or sum(part.file_size for part in parts) > 2 * LARGEST:
                raise InputError(
                    f"{path}: its parts inflate to more than {2 * LARGEST} bytes; "
                    "expected a smaller table; save the sheet as .csv"
                )
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels")):
                    # reading stops at the declared size and checks it
                    inner = archive.read(part)
                    if b"<!DOCTYPE" in inner or b"<!ENTITY" in inner or b"\0" in inner:
                        raise InputError(
                            f"{path}: {part.filename[:80]} declares XML entities or is not UTF-8; "
                            "expected a workbook as spreadsheet programs write it"
                        )
                    _check_elements(inner, path)
                    formulas = formulas or b"<f" in inner or b":f" in inner
    except _DAMAGED as error:
        raise InputError(
            f"{path}: is no sound xlsx workbook ({str(error)[:120]}); copy it again"
        ) from error
    return formulas


def _check_elements(inner: bytes, path: Path) -> None:
    """Refuse more rows, cells or strings than a table may have before any is built."""
    for name, most in ((b"row", MOST_LINES), (b"c", 2 * MOST_CELLS), (b"si", MOST_CELLS)):
        if inner.count(b"<" + name) + inner.count(b":" + name) > most:
            raise InputError(
                f"{path}: more than {MOST_LINES} lines or {MOST_CELLS} cells; "
                "expected a smaller table; save the sheet as .csv and split it"
            )


def _sheet_rows(
    content: bytes, path: Path, sheet: str | None, formulas: bool
) -> Iterator[tuple[int, list[str]]]:
    import openpyxl

    stored = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    name = _sheet_name(stored, path, sheet)
    rows = _lines(stored[name], path)
    written: Iterator[Any] = repeat(None)
    if formulas:  # a second reading tells an empty cell from a formula without a value
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False)
        written = (cells for _, cells in _lines(book[name], path))
    width = 0
    for (line, values), origins in zip(rows, written, strict=False):
        where = f"{path}: sheet {name!r}, line {line}"
        origins = values if origins is None else origins
        cells = [_cell(v, o, where) for v, o in zip(values, origins, strict=True)]
        width = width or len(cells)
        if any(cells):
            # a sheet stores no empty cells at the end of a row
            yield line, cells + [""] * (width - len(cells))


def _lines(sheet: Any, path: Path) -> Iterator[tuple[int, Any]]:
    """Numbered rows of a sheet, however many the sheet claims to have."""
    sheet.reset_dimensions()  # a claimed size would be filled up with empty cells
    for line, cells in enumerate(sheet.iter_rows(), start=1):
        if line > MOST_LINES:
            raise InputError(f"{path}: more than {MOST_LINES} lines; expected a smaller table")
        yield line, cells


def _sheet_name(workbook: Any, path: Path, sheet: str | None) -> str:
    names = [one.title for one in workbook.worksheets]
    if sheet is not None:
        if sheet not in names:
            raise InputError(
                f"{path}: has no sheet {sheet!r}; expected one of {', '.join(map(repr, names))}"
            )
        return sheet
    filled = [one.title for one in workbook.worksheets if _has_cells(one, path)]
    if len(filled) != 1:
        raise InputError(
            f"{path}: has {len(filled)} filled sheets ({', '.join(map(repr, filled))}); "
            "expected one, or the name of the sheet to read"
        )
    return str(filled[0])


def _has_cells(sheet: Any, path: Path) -> bool:
    return any(any(cell.value is not None for cell in row) for _, row in _lines(sheet, path))


def _cell(value: Any, formula: Any, where: str) -> str:
    """A cell as text. An error value, and a formula whose value was never stored, are refused."""
    content = value.value
    if content is None:
        if formula.value is not None:
            raise InputError(
                f"{where}: holds the formula {str(formula.value)[:40]!r} without its value; "
                "open the workbook in a spreadsheet program and save it"
            )
        return ""
    if value.data_type == "e":
        raise InputError(f"{where}: holds the error {content}; expected a value; mend the formula")
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, int | float):
        return repr(content)
    if isinstance(content, datetime | date | clock_time):
        return content.isoformat()
    if isinstance(content, timedelta):
        return repr(content.total_seconds())
    return str(content).strip()
