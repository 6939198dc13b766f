"""The study: one strict TOML file that says what was given, scanned and asked.

`schema` counts the core keys of the document (`igdd.entries`); code migrates an old document.
Every fault is told at once: the key, what was found, what was expected.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from igdd.document import Document, document_model
from igdd.errors import InputError, StudyError
from igdd.io.bounded import resolve_inside

SCHEMA = 1
UNKNOWN_FACT = "# REQUIRED"  # how a drafted study marks a fact that nobody knows
LARGEST = 4_000_000  # bytes; a study is text that people read
DEEPEST = 20  # levels; the schema has six
DOTS = 64  # in a line outside of quotation marks: points and dotted keys
FAULTS_SHOWN = 100
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')

# Old schema number -> function that turns such a document into the next number's.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A checked document, as written (`raw`) and as read, with the folders it may read from."""

    document: Document
    raw: Mapping[str, Any]
    path: Path
    roots: tuple[Path, ...]

    def resolve(self, relative: str, key: str) -> Path:
        """A file or folder below the first granted root that has it; links are resolved first."""
        try:
            return resolve_inside(relative, self.roots)
        except InputError as error:
            raise StudyError(
                f"{self.path}: {key} = {relative!r}: {error}; looked below "
                f"{' and '.join(map(str, self.roots))}; grant another folder with --data DIR"
            ) from error


def load_study(path: str | Path, roots: tuple[str | Path, ...] = ()) -> Study:
    """Read and check a study; `roots` are folders that it may read beside its own."""
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    if not path.is_file():
        raise StudyError(f"{path}: there is no such study; `igdd new FOLDER` drafts one")
    if path.stat().st_size > LARGEST:
        raise StudyError(f"{path}: {path.stat().st_size} bytes; expected a study under {LARGEST}")
    try:
        text = path.read_text(encoding="utf-8")
        _check_keys(text, path)
        raw = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also a number too long
        raise StudyError(f"{path}: not a TOML document: {str(error)[:200]}") from error
    open_facts = [
        f"{path}, line {number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if UNKNOWN_FACT in line
    ]
    if open_facts:
        raise StudyError(
            "\n".join(open_facts)
            + f"\nfound {len(open_facts)} facts that nobody has stated yet; give each its value, "
            "or remove its line where it does not apply"
        )
    return check_study(raw, path, tuple(Path(root).resolve() for root in roots))


def _check_keys(text: str, path: Path) -> None:
    """Refuse keys of hundreds of parts, for which the parser takes time and memory squared."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") <= DOTS or line.lstrip().startswith("#"):
            continue
        if _QUOTED.sub("", line).count(".") > DOTS:
            raise StudyError(
                f"{path}, line {number}: more than {DOTS} dots outside of quotation marks; "
                "expected keys of a few parts"
            )


def _check_depth(raw: Mapping[str, Any], path: Path) -> None:
    """Refuse tables and lists that nest deeper than any key of the schema."""
    waiting: list[tuple[Any, int]] = [(raw, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise StudyError(f"{path}: nested more than {DEEPEST} deep; expected a few levels")
        inner = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, Mapping | list | tuple):
            waiting += [(member, depth + 1) for member in inner]


def check_study(raw: dict[str, Any], path: Path, roots: tuple[Path, ...] = ()) -> Study:
    """Validate a document that stands at `path`, migrating an old one."""
    _check_depth(raw, path)
    raw = _migrate(json_safe_copy(raw), path)
    try:
        document = document_model().model_validate(raw)
    except ValidationError as error:
        raise StudyError(_explain(error, path)) from error
    return Study(document=document, raw=raw, path=path, roots=(path.resolve().parent, *roots))


def json_safe_copy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy that later changes to the original do not reach."""
    return copy.deepcopy(dict(raw))


def canonical(raw: Any) -> str:
    """One text for equal documents: keys sorted, dates in ISO 8601."""
    return json.dumps(raw, sort_keys=True, default=lambda value: value.isoformat())


def _migrate(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    number = raw.get("schema")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= SCHEMA:
        raise StudyError(f"{path}: schema is {number!r}; expected schema = {SCHEMA} (or an older)")
    while number < SCHEMA:
        raw = MIGRATIONS[number](raw)
        number += 1
    return raw


def _explain(error: ValidationError, path: Path) -> str:
    """Every fault of a document: the key, what was found, what was expected."""
    lines = []
    faults = error.errors(include_url=False)
    above = {fault["loc"][:length] for fault in faults for length in range(len(fault["loc"]))}
    # a list may count as too short only because its members are at fault
    told = [fault for fault in faults if fault["loc"] not in above]
    for fault in told[:FAULTS_SHOWN]:
        place = fault["loc"]
        key = "".join(
            f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place
        ).lstrip(".")
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "is not a key of the study; remove it or correct its spelling"
        elif fault["type"] == "missing":
            message = "is missing; expected here"
        elif "found" not in message and not isinstance(fault["input"], dict | list | tuple):
            message = f"found {fault['input']!r:.100}; {message[0].lower()}{message[1:]}"
        lines.append(f"{path}: {key or 'document'}: {message}")
    if len(told) > FAULTS_SHOWN:
        lines.append(f"{path}: and {len(told) - FAULTS_SHOWN} more")
    return "\n".join(lines)
