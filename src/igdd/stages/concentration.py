"""Concentration of a contrast agent from the signals of dynamic MR: what `igdd concentration` does.

An image or a table of curves goes in as the scanner left it, and comes out in mmol/L with the same
frames, as `igdd map` and `igdd fit` take it. What only the user knows is stated in text with units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.flags import FLAGS
from igdd.io import bounded
from igdd.modalities._spoiled_echo import Echo, echo
from igdd.modalities.mr_dce import Reading, stated_t1

Progress = Callable[[int, int], None]
# A T1, or a relaxivity, in text: of everything, or by the name of a region.
ByRegion = str | Mapping[str, str]

UNIT = "mmol/L"
# From mol/mL inside.
SHOWN = units.factor("mol/mL", UNIT)
EVERYWHERE = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the caller states, in text with units: T1 and r1 of all, the echo, the baseline.

    t1        of all, by region, or the path of a map; `t1_unit` of a map that does not say
    interval  time from volume to volume, where the file does not say
    b1        path of a map of the share of the flip angle; `b1_unit`, 1 or %, likewise
    """

    t1: ByRegion | Path
    r1: ByRegion
    baseline: str
    tr: str | None = None
    flip: str | None = None
    interval: str | None = None
    t1_unit: str | None = None
    b1: Path | str | None = None
    b1_unit: str | None = None

    def echo(self, sidecar: Mapping[str, Any], headers: Any, where: str) -> Echo:
        """The echo as stated here, else as the file has it."""
        return echo(
            sidecar,
            headers,
            where,
            quantity(self.tr, "s", "tr"),
            quantity(self.flip, "deg", "flip"),
        )


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of a signal.

    files    written, the concentration first
    echo     TR and flip angle; `baseline` its first and last frame, counted from 1
    places   voxels or regions; `converted` of them have a concentration in every frame
    counts   places by name of the flag; `flags` of all
    """

    files: tuple[Path, ...]
    echo: Echo
    baseline: tuple[int, int]
    places: int
    converted: int
    counts: Mapping[str, int]
    flags: tuple[str, ...] = ()


def concentration(
    image: Path | str | None = None,
    curves: Path | str | None = None,
    *,
    out: Path | str,
    t1: ByRegion | Path,
    r1: ByRegion,
    baseline: str | int,
    tr: str | None = None,
    flip: str | None = None,
    interval: str | None = None,
    t1_unit: str | None = None,
    b1: Path | str | None = None,
    b1_unit: str | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Concentration in mmol/L of a dynamic image, or of curves of regions, written into a folder.

    image     4-D NIfTI with its sidecar, or a DICOM series
    curves    table of signals, one column for each region, as `igdd tacs` writes it
    t1        before contrast, "1400 ms"; of an image also the path of a map on its grid; of curves
              also by region, {"artery": "1600 ms", "tumour": "1400 ms"}
    r1        relaxivity, "3.7 L/mmol/s"; of curves also by region
    baseline  frames before the agent came: 5 the first five, "2-5", or all that end by "30 s"
    tr, flip  repetition time and flip angle, "5 ms", "15 deg", else the file's
    interval  time from volume to volume, "5 s", where the file does not say
    b1        of an image: path of a map of the share of the flip angle that was reached

    The haematocrit is no part of it: blood's concentration is of whole blood.
    """
    from igdd.stages import concentration_image, concentration_table

    asked = Asked(
        t1=t1, r1=r1, baseline=str(baseline), tr=tr, flip=flip, interval=interval,
        t1_unit=t1_unit, b1=b1, b1_unit=b1_unit,
    )  # fmt: skip
    if (image is None) == (curves is None):
        raise InputError("expected an image or a table of curves, and one of them")
    folder = Path(out)
    bounded.writable(folder)
    if image is not None:
        return concentration_image.convert(Path(image), folder, asked, progress)
    return concentration_table.convert(Path(str(curves)), folder, asked)


def by_region(texts: Sequence[str], option: str) -> ByRegion:
    """Words of the command line as one text for everything, or as texts by region.

    >>> by_region(["1400 ms"], "--t1"), by_region(["1400 ms", "artery=1600 ms"], "--t1")
    ('1400 ms', {'': '1400 ms', 'artery': '1600 ms'})
    """
    found: dict[str, str] = {}
    for one in texts:
        name, sign, value = one.rpartition("=")
        name = name.strip() if sign else EVERYWHERE
        if name in found or not value.strip():
            raise InputError(
                f"{option} {one!r}; expected one text for all, and one for each region"
            )
        found[name] = value.strip()
    return found[EVERYWHERE] if set(found) == {EVERYWHERE} else found


def quantity(text: str | None, unit: str, name: str) -> float | None:
    """The number that a text states in a unit, or None; an error names what was stated."""
    if text is None:
        return None
    try:
        return units.read(text, unit)
    except UnitsError as error:
        raise UnitsError(f"{name}: {error}") from error


def t1_in_seconds(text: str) -> float:
    """A T1 that a text states, in s."""
    try:
        return stated_t1(units.read(text, "s"), "t1")
    except UnitsError as error:
        raise UnitsError(f"t1: {error}, or of an image a NIfTI map") from error


def relaxivity_of(text: str) -> float:
    """A relaxivity in mL/(mol.s) that a text states."""
    try:
        return units.read(text, "mL/(mol.s)")
    except UnitsError as error:
        raise UnitsError(f"r1 {str(text)[:40]!r}: expected such as '3.7 L/mmol/s'") from error


def check_free(paths: tuple[Path, ...]) -> None:
    """Refuse names that something has already; nothing is overwritten."""
    for path in paths:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path} is already there; nothing is overwritten; give another --out")


def is_signal(unit: object, where: str) -> None:
    """Refuse values that say they are a concentration, a rate or an activity already."""
    known = ("mol/mL", "g/mL", "1/s", "s", "Bq/mL", "HU")
    if isinstance(unit, str) and any(units.converts(unit, one) for one in known):
        raise InputError(
            f"{where}: its values are in {unit}; expected signals, in arbitrary units; leave out "
            "what is a quantity already, or correct the unit in its JSON"
        )


def account(reading: Reading, asked: Asked) -> dict[str, Any]:
    """What was stated and used, for the JSON beside the result."""
    made = reading.echo
    t1 = Path(str(asked.t1))
    return {
        "RepetitionTimeExcitation": made.repetition,
        "FlipAngle": made.flip,
        "BaselineFrames": [reading.baseline[0] + 1, reading.baseline[1]],
        "T1BeforeContrast": asked.t1 if isinstance(asked.t1, Mapping) else t1.name,
        "Relaxivity": asked.r1,
        **({} if asked.b1 is None else {"FlipAngleShare": Path(asked.b1).name}),
    }


def as_json(found: Converted) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "unit": UNIT,
        "repetition_time_s": found.echo.repetition,
        "flip_angle_deg": found.echo.flip,
        "baseline_frames": list(found.baseline),
        "places": found.places,
        "converted": found.converted,
        "flagged": dict(found.counts),
        "flags": list(found.flags),
        "files": [str(path) for path in found.files],
    }


def text(found: Converted) -> str:
    """What was made, as lines."""
    return "\n".join([
        f"TR {1000 * found.echo.repetition:g} ms, flip angle {found.echo.flip:g} degrees, baseline "
        f"frames {found.baseline[0]} to {found.baseline[1]}",
        f"{found.converted} of {found.places} have a concentration in every frame",
        *(f"{flag}: {FLAGS[flag]}" for flag in found.flags),
        *(f"{flag} ({count}): {FLAGS[flag]}" for flag, count in found.counts.items()),
        *(f"  {path}" for path in found.files),
    ])  # fmt: skip
