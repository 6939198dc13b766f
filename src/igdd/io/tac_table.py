"""Tables of time-activity curves: one row per frame, its times, and a column for each region.

Read are the forms of PETPrep (frame_start, frame_end), of PMOD (start[seconds], end[kBq/cc]) and
plain ones (start or frame_start with end or duration); frames may also stand in the JSON alone, as
in that of a BIDS image. The units of time and of concentration come from the caller, from brackets
in the header, or from the JSON beside the table, in this order; without them the table is an error,
but for times of PETPrep's and BIDS' names, which are in s. A table with one time for each row holds
samples at instants, as those of contrast agents do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.declare import Reader
from igdd.errors import InputError, UnitsError
from igdd.io import frame_times, sidecar, tables
from igdd.io.columns import agreed_unit, described, stated_in
from igdd.io.region_headers import QUANTITIES, is_unit, names_and_units, split, why_no_unit
from igdd.types import Curves, Frames, Zero

if TYPE_CHECKING:
    import pandas as pd

# Names under which PETPrep and BIDS keep seconds.
SECONDS = ("frame_start", "frame_times_start", "frametimesstart")
STARTS = (*SECONDS, "framestart", "start", "starttime", "start_time")
ENDS = (
    "frame_end", "frame_times_end", "frametimesend", "frameend", "end", "endtime", "end_time",
)  # fmt: skip
DURATIONS = ("frame_duration", "frameduration", "duration")
# When a sample was taken, where there are no frames; T may be a tumour beside one of these.
INSTANTS = ("time", "times", "frame_mid", "mid")
INSTANT = "t"
# Columns that say nothing about a region.
MIDDLES = (*INSTANTS, "frame")
# Columns that say how much each frame counts, which a fit heeds where it is told to (`--sd`).
WEIGHINGS = ("sd", "weights", "weight")
SUFFIXES = (*tables.SEPARATORS, *tables.WORKBOOKS, ".tac")


def sniff(path: Path) -> bool:
    """Whether the first line names a frame's start and its end or duration, and something more."""
    path = Path(path)
    if path.suffix.lower() == ".tac":
        return True
    if path.suffix.lower() not in tables.SEPARATORS:
        return False
    names = {_plain(cell) for cell in tables.header_cells(path)}
    return bool(names & {*STARTS}) and bool(names & {*ENDS, *DURATIONS}) and len(names) > 2


def read(
    path: Path,
    unit: str | None = None,
    time_unit: str | None = None,
    zero: Zero | None = None,
    nuclide: str | None = None,
) -> Curves:
    """Curves over frames in s, one region per column; volume and noise are not known.

    Activity comes in Bq/mL, contrast in mol/mL; all columns are of one quantity (`QUANTITIES`).

    unit, time_unit  of the stored numbers, where the file does not say or says wrongly
    zero             what the times count from; by default what the JSON says, else the scan's start
    nuclide          of activities that are corrected for decay to time zero, where the JSON does
                     not say
    """
    path = Path(path)
    table = tables.read_table(path)
    facts, files = sidecar.read_sidecar(path)
    columns = {_plain(str(name)): str(name) for name in table.columns}
    begun, duration, sampled = _times(table, columns, facts, time_unit, path)
    _check_frames(begun, duration, path)
    weighings = {str(name) for name in table.columns if _plain(str(name)) in WEIGHINGS}
    times = {columns[n] for n in (*STARTS, *ENDS, *DURATIONS, *MIDDLES) if n in columns}
    times |= {*_instants(columns)} if sampled else set()
    regions = [str(name) for name in table.columns if name not in times | weighings]
    if not regions:
        raise InputError(f"{path}: has no column beside the times; expected one per region")
    stop = next((columns[name] for name in ENDS if name in columns), "")
    named = names_and_units(regions)
    _check_names([name for name, _ in named.values()], path)
    stated = {
        header: _unit(header, bracket, (stop, facts, unit), path)
        for header, (_, bracket) in named.items()
    }
    inside = _inside(stated, path)
    values = np.stack(
        [
            tables.numbers(table, name, str(path), units.factor(stated[name], inside))
            for name in regions
        ]
    )
    count = len(regions)
    try:
        frames = Frames(
            start=begun, duration=duration, zero=zero or sidecar.zero_of(facts), sampled=sampled
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Curves(
        values=values,
        # One NaN for all: thousands of regions have gigabytes of pairs.
        covariance=np.broadcast_to(np.nan, (begun.size, count, count)),
        volume=np.full(count, np.nan),
        volume_sd=np.full(count, np.nan),
        names=tuple(name for name, _ in named.values()),
        kinds=("organ",) * count,
        frames=frames,
        quantity=QUANTITIES[inside],
        unit=inside,
        analyte="label" if inside == "Bq/mL" else "contrast",
        decay=sidecar.decay_of(facts, path, nuclide) if inside == "Bq/mL" else None,
        flags=(("noise_unknown", *(["weights_not_used"] if weighings else [])),) * count,
        source=f"time-activity curves of {path.name}, with {len(files)} JSON",
        stated=units.parse(next(iter(stated.values()))).ucum,
    )


def stated_time_unit(path: Path) -> tuple[str, str] | None:
    """Who states the unit of a table's times, and the unit; None where nobody does."""
    columns = {_plain(str(name)): str(name) for name in tables.read_table(path).columns}
    facts, _ = sidecar.read_sidecar(path)
    begun = [columns[name] for name in STARTS if name in columns]
    if not begun and {*sidecar.TIMES} <= set(facts):
        return "the JSON's FrameTimesStart", "s"
    ended = [columns[name] for name in (*ENDS, *DURATIONS) if name in columns]
    names = [*begun, *ended] or _instants(columns)
    said = [one for name in names for one in _said(name, facts)]
    if begun and _plain(begun[0]) in SECONDS:
        said.append((f"the name {begun[0]!r}, as PETPrep's and BIDS'", "s"))
    return said[0] if said else None


def _plain(header: str) -> str:
    """Header without its bracket, in lower case."""
    return split(header)[0].lower()


def _bracket(header: str, wished: str) -> str | None:
    """The unit in a header's bracket, if it is one of the wished dimension."""
    unit = split(header)[1]
    return unit if units.converts(unit, wished) else None


def _said(name: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Who states the unit of a column of times, and the unit."""
    found = (
        (f"the header {name!r}", _bracket(name, "s")),
        (f"the JSON's {name}", described(facts, name)),
    )
    return [(who, unit) for who, unit in found if unit]


def _check_names(names: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: two columns are of region {twice[0]!r}; expected one; rename the other"
        )


def _times(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    facts: Mapping[str, Any],
    given: str | None,
    path: Path,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Starts and durations of the frames in s: the table's, else those of an image's JSON, else
    frames about instants; and whether it is the last."""
    start = next((columns[name] for name in STARTS if name in columns), None)
    if start is None and {*sidecar.TIMES} <= set(facts):
        sidecar.check_frames(dict(facts), len(table), path)
        begun, duration = (np.array(facts[of], float) for of in sidecar.TIMES)
        return begun, duration, False
    instants = _instants(columns)
    if start is None and instants and not {*ENDS, *DURATIONS} & set(columns):
        return *_about_instants(table, instants, facts, given, path), True
    if start is None:
        raise InputError(
            f"{path}: has the columns {', '.join(columns)[:200]}; expected one of "
            f"{', '.join(STARTS)}, or a JSON with FrameTimesStart and FrameDuration"
        )
    return *_lengths(table, columns, facts, given, path), False


def _lengths(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    facts: Mapping[str, Any],
    given: str | None,
    path: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and durations of the frames in s; ends and durations must tell the same."""
    start = next(columns[name] for name in STARTS if name in columns)
    stops = [columns[name] for name in (*ENDS, *DURATIONS) if name in columns]
    if not stops:
        raise InputError(f"{path}: has no frame_end and no frame_duration; expected one of them")
    found = []
    for stop in stops:
        seconds = _time_factor(start, stop, facts, given, path)
        begun = tables.numbers(table, start, str(path), seconds)
        ended = tables.numbers(table, stop, str(path), seconds)
        found.append(ended if _plain(stop) in DURATIONS else ended - begun)
    for stop, duration in zip(stops, found, strict=True):
        if (apart := np.abs(duration - found[0]) > frame_times.ROUNDED).any():
            frame = int(np.argmax(apart))
            raise InputError(
                f"{path}: frame {frame + 1} lasts {found[0][frame]:g} s by {stops[0]!r} but "
                f"{duration[frame]:g} s by {stop!r}; expected one length; remove the wrong column"
            )
    return begun, found[0]


def _instants(columns: Mapping[str, str]) -> list[str]:
    """Headers of columns that may say when samples were taken."""
    found = [header for name, header in columns.items() if name in INSTANTS]
    return found or [columns[INSTANT]] if found or INSTANT in columns else []


def _about_instants(
    table: pd.DataFrame,
    instants: list[str],
    facts: Mapping[str, Any],
    given: str | None,
    path: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and durations in s of frames about the samples' times, as short as none overlap."""
    if len(instants) > 1:
        raise InputError(
            f"{path}: {instants[0]!r} and {instants[1]!r} are both times; expected one of them"
        )
    seconds = _time_factor(instants[0], instants[0], facts, given, path)
    at = tables.numbers(table, instants[0], str(path), seconds)
    gaps = np.diff(at)
    if (late := np.flatnonzero(~(gaps > 0) & np.isfinite(gaps))).size:
        sample = int(late[0]) + 2
        raise InputError(
            f"{path}: sample {sample} is at {at[sample - 1]:g} s, not after the one before, at "
            f"{at[sample - 2]:g} s; expected ascending times"
        )
    shortest = float(gaps.min()) if gaps.size else 1.0
    return at - shortest / 2, np.full(at.size, shortest)


def _time_factor(
    start: str, stop: str, facts: Mapping[str, Any], given: str | None, path: Path
) -> float:
    said = [*_said(start, facts), *_said(stop, facts)]
    if given is None and not said and _plain(start) not in SECONDS:
        raise UnitsError(
            f"{path}: nothing says in which unit {start} is; expected a header such as "
            f'\'{start}[s]\', a JSON with "{start}": {{"Units": "s"}}, or --time-unit s'
        )
    unit = given or agreed_unit(said or [("PETPrep", "s")], start, "s", path)
    try:
        return units.factor(unit, "s")
    except UnitsError as error:
        raise UnitsError(f"{path}: column {start!r}: {error}") from error


def _unit(
    header: str,
    bracket: str | None,
    elsewhere: tuple[str, Mapping[str, Any], str | None],
    path: Path,
) -> str:
    """The unit of a region's column, as the caller, its header or the JSON states it.

    elsewhere  header of the frames' end, the JSON, and what the caller says
    """
    stop, facts, given = elsewhere
    # PMOD writes the concentration's unit behind "end"
    after_end = _bracket(stop, "Bq/mL")
    said = (bracket, described(facts, header), after_end, stated_in(facts))
    unit = given or next((one for one in said if one), None)
    if unit is None:
        raise UnitsError(
            f"{path}: nothing says in which unit {header!r} is; expected a header such as "
            f"'{header}[kBq/mL]', a JSON with \"Units\": \"Bq/mL\", or unit='kBq/mL'"
        )
    if given is None and bracket is not None and not is_unit(bracket):
        raise UnitsError(
            f"{path}: column {header!r}: {why_no_unit(bracket)}; if it belongs to the region's "
            "name, write that without the bracket"
        )
    return str(unit)


def _inside(stated: Mapping[str, str], path: Path) -> str:
    """The one unit inside to which all columns convert."""
    first, unit = next(iter(stated.items()))
    inside = next((one for one in QUANTITIES if units.converts(unit, one)), None)
    if inside is None:
        raise UnitsError(f"{path}: column {first!r}: {why_no_unit(unit)}")
    for name, other in stated.items():
        if not units.converts(other, inside):
            raise UnitsError(
                f"{path}: column {name!r} is in {other!r} but {first!r} in {unit!r}; expected "
                "columns of one quantity"
            )
    return inside


def _check_frames(start: np.ndarray, duration: np.ndarray, path: Path) -> None:
    if not start.size:
        raise InputError(f"{path}: holds no frame; expected one row per frame")
    if not (np.isfinite(start).all() and np.isfinite(duration).all()):
        raise InputError(f"{path}: a frame has no time; expected its start and its end or duration")
    frame_times.check(start, duration, path)


READERS = (
    Reader(
        name="time_activity_curves",
        gives="table",
        sniff=sniff,
        read=read,
        help="time-activity curves by region: PETPrep, PMOD .tac, plain CSV, TSV",
        reference="https://github.com/nipreps/petprep",
    ),
)
