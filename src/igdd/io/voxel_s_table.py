"""Tables of voxel S values: an octant of a dose kernel as text, one row per voxel.

    Lu177 - 3mm - Soft tissue
    i   j   k   S [mGy/(MBq·s)]
    0   0   0   6.93E-01
    0   0   1   1.51E-02

The first line names the nuclide, the side of the cubic voxels and the medium; the second heads the
columns and states the unit. What neither they nor the file's name ("177Lu3mmsoft.txt") say must be
given in the call; what they say otherwise than the call is refused. The octant holds 0 <= i, j, k
<= n, every voxel once; the other octants are its mirror images. Text in UTF-8 or Latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from igdd import units
from igdd.decay import nuclide
from igdd.errors import InputError
from igdd.io import bounded

LARGEST = 4 * 2**20
# Voxels along a side of the octant at most: a kernel of 101 voxels along a side.
MOST = 51
_TITLE = re.compile(r"\s*([A-Za-z0-9-]{2,12})\s+-\s+([0-9.]{1,10})\s*mm\s+-\s+(\S.{0,40}?)\s*")
_NAME = re.compile(r"([0-9]{1,3}m?[A-Z][a-z]?)[_-]?([0-9]+(?:\.[0-9]+)?)mm[_-]?([A-Za-z]+)")
_UNIT = re.compile(r"\[([^\[\]]{1,40})\]")
# The middle dot of Latin-1 as other code pages have it.
_DOT = str.maketrans({"ú": "·", "\x95": "·", "\ufffd": "·"})
_REMEDY = "give it in the call, or write it into the table's first line"


@dataclass(frozen=True, kw_only=True, eq=False)
class VoxelTable:
    """A kernel as a file has it: S values (odd, odd, odd) in Gy/(Bq s), all octants.

    side    of the cubic voxels in mm
    medium  as the file or the call names it
    """

    nuclide: str
    side: float
    medium: str
    values: np.ndarray
    source: str

    def __post_init__(self) -> None:
        self.values.setflags(write=False)


def read(
    path: Path | str,
    *,
    nuclide_name: str | None = None,
    side: float | None = None,
    medium: str | None = None,
    unit: str | None = None,
) -> VoxelTable:
    """A table of S values; what it does not say itself must be said here (side in mm)."""
    path = Path(path)
    lines = _lines(path)
    title = _TITLE.fullmatch(lines[0][1].replace("\t", " ")) if lines else None
    named = _NAME.search(path.stem)
    found = {
        "the first line": title.groups() if title else None,
        "its name": named.groups() if named else None,
    }
    body = lines[1:] if title else lines
    head = body[0][1] if body and not re.match(r"\s*[0-9]", body[0][1]) else ""
    rows = body[1:] if head else body
    return VoxelTable(
        nuclide=_nuclide(path, found, nuclide_name),
        side=_side(path, found, side),
        medium=_medium(path, found, medium),
        values=_whole(_octant(path, rows) * _factor(path, head, unit)),
        source=str(path),
    )


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that are not blank."""
    content = bounded.read_bounded(path, LARGEST)
    if b"\0" in content:
        raise InputError(f"{path}: holds NUL bytes; expected a table of text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]


Found = dict[str, tuple[str, ...] | None]


def _nuclide(path: Path, found: Found, given: str | None) -> str:
    said = {where: nuclide(what[0]).name for where, what in found.items() if what}
    if given is not None:
        said["the call"] = nuclide(given).name
    return str(_agreed(path, "nuclide", said))


def _side(path: Path, found: Found, given: float | None) -> float:
    said: dict[str, float] = {}
    for where, what in found.items():
        if what:
            try:
                said[where] = float(what[1])
            except ValueError as error:
                raise InputError(
                    f"{path}: {where} gives {what[1]!r} mm as the side of a voxel; "
                    "expected a number"
                ) from error
    if given is not None:
        said["the call"] = float(given)
    side = float(_agreed(path, "side of a voxel in mm", said))
    if not 0 < side < 1000:
        raise InputError(f"{path}: voxels of {side:g} mm; expected a side above 0 mm")
    return side


def _medium(path: Path, found: Found, given: str | None) -> str:
    """The medium in the words of the first line, else of the file's name, else of the call."""
    said = {where: what[2].strip() for where, what in found.items() if what}
    words = list(said.values())
    if len(words) == 2 and not words[0].lower().startswith(words[1].lower()[:4]):
        raise InputError(
            f"{path}: the first line says {words[0]!r} and the file's name {words[1]!r}; expected "
            "the same medium; rename the file or mend the line"
        )
    if words and given is not None and not words[0].lower().startswith(given.lower()[:4]):
        raise InputError(
            f"{path}: is a table for {words[0]!r}, but the call says {given!r}; expected the same"
        )
    if not words and not given:
        raise InputError(f"{path}: nothing says the medium, such as soft tissue; {_REMEDY}")
    return words[0] if words else str(given)


def _agreed(path: Path, what: str, said: Mapping[str, str | float]) -> str | float:
    """What all who say something say alike."""
    if not said:
        raise InputError(f"{path}: nothing says the {what}; {_REMEDY}")
    if len(set(said.values())) > 1:
        heard = ", ".join(f"{value} by {where}" for where, value in said.items())
        raise InputError(f"{path}: the {what} is {heard}; expected the same")
    return next(iter(said.values()))


def _factor(path: Path, head: str, given: str | None) -> float:
    """What the values must be multiplied by to be in Gy/(Bq s)."""
    match = _UNIT.search(head.translate(_DOT))
    said = {"the header": match[1]} if match else {}
    if given is not None:
        said["the call"] = given
    if not said:
        raise InputError(
            f"{path}: nothing says the unit of S; expected such as S [mGy/(MBq.s)] above the "
            "column, or the unit in the call"
        )
    factors = {where: units.factor(text, "Gy/(Bq.s)") for where, text in said.items()}
    if len(factors) == 2 and len(set(factors.values())) == 2:
        raise InputError(
            f"{path}: the unit of S is {said['the header']} by the header and {given} by the call; "
            "expected the same"
        )
    return next(iter(factors.values()))


def _octant(path: Path, rows: list[tuple[int, str]]) -> np.ndarray:
    """Values (n, n, n) of an octant, each voxel given once."""
    if not rows or len(rows) > MOST**3:
        raise InputError(
            f"{path}: {len(rows)} rows of values; expected rows i j k S of an octant of at most "
            f"{MOST} voxels along a side"
        )
    parsed = [_row(path, line, text) for line, text in rows]
    side = round(len(rows) ** (1 / 3))
    places = np.array([place for place, _ in parsed])
    if side**3 != len(rows) or places.max() >= side:
        raise InputError(
            f"{path}: {len(rows)} rows up to index {places.max()}; expected every voxel of an "
            f"octant 0 to n once, such as {6**3} rows for 0 to 5; is a row missing?"
        )
    octant = np.full((side, side, side), np.nan)
    octant[tuple(places.T)] = [value for _, value in parsed]
    if np.isnan(octant).any():
        missing = np.argwhere(np.isnan(octant))[0].tolist()
        raise InputError(f"{path}: voxel {missing} is missing, and another stands there twice")
    return octant


def _row(path: Path, line: int, text: str) -> tuple[tuple[int, int, int], float]:
    cells = [cell for cell in re.split(r"[\s,;]+", text.strip()) if cell]
    try:
        if len(cells) != 4 or not all(cell.isascii() and len(cell) < 40 for cell in cells):
            raise ValueError
        i, j, k = (int(cell) for cell in cells[:3])
        value = float(cells[3])
    except ValueError as error:
        raise InputError(
            f"{path}: line {line} is {text.strip()[:60]!r}; expected i j k S, such as "
            "'0 0 1 1.51E-02'"
        ) from error
    if min(i, j, k) < 0 or max(i, j, k) >= MOST or not 0 <= value < np.inf:
        raise InputError(
            f"{path}: line {line}: voxel {i} {j} {k} has S = {value:g}; expected indices 0 to "
            f"{MOST - 1} and S >= 0"
        )
    return (i, j, k), value


def _whole(octant: np.ndarray) -> np.ndarray:
    """All octants of a kernel by reflection."""
    for axis in range(3):
        mirrored = np.flip(octant, axis).take(range(octant.shape[axis] - 1), axis)
        octant = np.concatenate([mirrored, octant], axis)
    return np.ascontiguousarray(octant)
