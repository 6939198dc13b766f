"""Conformance: public references against this program's own values.

Built-in facts are always checked. Sets of files are checked where `reference` holds them; where it
does not, one row says "not present" and where the public data are. A row that misses its tolerance
is "fail", and so is one that cannot be computed: its note says why.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from igdd.errors import IgddError, InputError

if TYPE_CHECKING:
    from pydicom import Dataset

CU64 = "physical decay with a half-life of 12.701 h"
ICRP107 = "ICRP Publication 107 (2008)"
BODY_SOURCE = "github.com/cornerstonejs/calculate-suv, test suite; DICOM PS3.3 C.8.9.1"
IBSI_SUV = "IBSI SUV digital reference objects, https://github.com/oncoray/suv_computation"
CALCULATE_SUV = "real scanner headers, https://github.com/cornerstonejs/calculate-suv"
DECAY_SOURCE = "radioactivedecay 0.6.1, https://github.com/radioactivedecay/radioactivedecay"
IBSI_CT = "IBSI 1 CT phantom, https://github.com/theibsi/data_sets; doi:10.1148/radiol.2020191145"

# Per cent of the administered activity left after 24, 48, 72 and 168 h, as printed: each holds to
# half its last digit.
HOURS = (24, 48, 72, 168)
LEFT = {
    "Tc-99m": ("6.3", "0.40", "0.025", "0.000"),
    "F-18": ("0.011", "0.000", "0.000", "0.000"),
    "Cu-64": ("27.0", "7.28", "1.97", "0.01"),
    "In-111": ("78.1", "61.0", "47.6", "17.7"),
    "Zr-89": ("80.9", "65.4", "52.9", "22.6"),
    "I-124": ("84.7", "71.8", "60.8", "31.3"),
    "Mn-52": ("88.3", "78.0", "68.9", "42.0"),
}
POSITRONS = {"F-18": "0.967", "Cu-64": "0.174", "Zr-89": "0.227", "I-124": "0.229"}

# Every object of the set; those that a copy of it lacks are reported as such.
OBJECTS = (
    "0_0", "1_0", "2_0", "2_1", "2_2", "2_3", "2_4", "2_5", "3_0", "3_1", "3_2", "3_3", "3_4",
    "4_0", "4_1", "4_2", "5_0",
)  # fmt: skip
SUV_EXPECTED = {"min": 0.20, "median": 1.00, "max": 4.00}
# Half the last digit that the set prints; 2_3 stores SUVbsa in steps of 0.01, which costs 0.023.
SUV_TOLERANCE, SUV_TOLERANCE_2_3 = 0.005, 0.025
OBJECT_LIMIT = 200_000_000  # bytes: an object of the set unpacks to 3 MB

# SUVbw factor of the first header of each set, and whether its tolerance is relative: the Philips
# ones are a factor that the scanner printed to three digits.
FACTORS = {
    "SIEMENS": (0.00042748316187197236, True),
    "BQML_AC_DT_lessThan_S_DT_SIEMENS": (0.0004069156854009332, True),
    "CPS_AND_BQML_AC_DT_-_S_DT": (0.00026503312764157046, True),
    "PHILIPS_CNTS_AND_BQML_SUV": (0.000551, False),
    "PHILIPS_CNTS_AND_SUV": (0.000728, False),
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison: our value, what is expected, the absolute tolerance and who says so."""

    name: str
    value: float | None
    expected: float | None
    tolerance: float | None
    source: str
    status: Literal["pass", "fail", "not present"]
    question: str
    note: str = ""


def checks(reference: Path | None = None) -> Iterator[Check]:
    """Every check, built-in facts first; `reference` is the folder of the public data sets."""
    yield from _decay()
    yield from _body()
    yield from _suv_objects(reference)
    yield from _suv_factors(reference)
    yield from _half_lives(reference)
    yield from _chains(reference)
    yield from _ct_phantom(reference)


def table(found: Iterable[Check]) -> list[dict[str, Any]]:
    """The checks as plain rows, for text and JSON."""
    return [asdict(check) for check in found]


@dataclass(frozen=True, kw_only=True)
class _Fact:
    """What is expected of a value that is still to be computed."""

    name: str
    expected: float
    tolerance: float
    source: str
    question: str = "Q1"


def _check(fact: _Fact, compute: Callable[..., Any], *arguments: Any) -> Check:
    """Compute and compare; an error of our own is a failure that says why."""
    try:
        value = float(compute(*arguments))
    except IgddError as error:
        return Check(**asdict(fact), value=None, status="fail", note=str(error))
    # NaN is near nothing, and fails.
    near = abs(value - fact.expected) <= fact.tolerance
    known = math.isfinite(value)
    return Check(
        **asdict(fact),
        value=value if known else None,
        status="pass" if near else "fail",
        note="" if known else f"our value is {value}",
    )


def _absent(name: str, source: str) -> Check:
    return Check(
        name=name, value=None, expected=None, tolerance=None, source=source, status="not present",
        question="Q1", note="set IGDD_REFERENCE to a folder that holds it",
    )  # fmt: skip


def _present(reference: Path | None, relative: str) -> Path | None:
    """The file or folder of a set, or None where it is not there."""
    path = None if reference is None else reference / relative
    return path if path is not None and path.exists() else None


def _printed(name: str, text: str, compute: Callable[..., Any], *arguments: Any) -> Check:
    """A published number, which holds to half a unit in its last printed place."""
    tolerance = 0.5 * 10.0 ** -len(text.partition(".")[2])
    fact = _Fact(name=name, expected=float(text), tolerance=tolerance, source=ICRP107)
    return _check(fact, compute, *arguments)


def _decay() -> Iterator[Check]:
    from igdd.decay import activity, nuclide

    for hours, expected in ((24, 107.95), (48, 29.13)):
        # Printed to 0.01 with a half-life of 12.701 h; ICRP-107 has 12.700 h.
        tolerance = 0.005 + expected * math.log(2) * hours / 12.7 * (0.001 / 12.7)
        fact = _Fact(
            name=f"400 MBq of Cu-64 after {hours} h [MBq]", expected=expected,
            tolerance=tolerance, source=CU64,
        )  # fmt: skip
        yield _check(fact, activity, 400.0, "Cu-64", hours * 3600.0)
    for isotope, texts in LEFT.items():
        for hours, text in zip(HOURS, texts, strict=True):
            name = f"{isotope} left after {hours} h [%]"
            yield _printed(name, text, activity, 100.0, isotope, hours * 3600.0)
    for isotope, text in POSITRONS.items():
        found = nuclide(isotope).positron_fraction
        yield _printed(f"positrons per decay of {isotope}", text, float, found)


def _body() -> Iterator[Check]:
    from igdd.kernels import body

    # kg to g, and the sex where the formula asks for it.
    formulas: dict[str, tuple[float, Callable[..., float], tuple[str, ...], float]] = {
        "lean mass, Morgan 120, M [g]": (
            1e3, body.lean_body_mass_morgan120, ("M",), 62777.57487216947),
        "lean mass, Morgan, F [g]": (
            1e3, body.lean_body_mass_morgan120, ("F",), 55925.67567567568),
        "lean mass, Janmahasatian, M [g]": (
            1e3, body.lean_body_mass_janmahasatian, ("M",), 60915.335886519744),
        "lean mass, Janmahasatian, F [g]": (
            1e3, body.lean_body_mass_janmahasatian, ("F",), 49214.37996837613),
        "body surface area, Du Bois [cm2]": (
            1.0, body.body_surface_area, (), 19813.758427117766),
    }  # fmt: skip
    for name, (factor, formula, sex, expected) in formulas.items():
        # Printed in full: the two programs may differ by rounding only.
        fact = _Fact(
            name=f"{name} of 75 kg, 1.85 m", expected=expected,
            tolerance=1e-9 * expected, source=BODY_SOURCE,
        )  # fmt: skip
        yield _check(fact, _scaled, factor, formula, 75.0, 185.0, *sex)


def _scaled(factor: float, formula: Callable[..., float], *arguments: Any) -> float:
    return factor * formula(*arguments)


def _suv_objects(reference: Path | None) -> Iterator[Check]:
    folder = _present(reference, "pet/ibsi_suv_dro")
    if folder is None:
        yield _absent("IBSI SUV objects", IBSI_SUV)
        return
    for name in OBJECTS:
        place = folder / f"DRO_{name}"
        if not place.is_dir() and not place.with_suffix(".zip").is_file():
            yield _absent(f"IBSI SUV object {name}", IBSI_SUV)
            continue
        try:
            with _unpacked(place) as unpacked:
                found, problem = _suv_of(unpacked), ""
        except IgddError as error:
            found, problem = {}, str(error)
        tolerance = SUV_TOLERANCE_2_3 if name == "2_3" else SUV_TOLERANCE
        for statistic, expected in SUV_EXPECTED.items():
            fact = _Fact(
                name=f"IBSI SUV object {name}, {statistic} SUVbw [g/mL]", expected=expected,
                tolerance=tolerance, source=IBSI_SUV,
            )  # fmt: skip
            yield _check(fact, _taken, found, statistic, problem)


def _taken(found: dict[str, float], name: str, problem: str) -> float:
    if name not in found:
        raise InputError(problem)
    return found[name]


def _suv_of(folder: Path) -> dict[str, float]:
    from igdd.stages.suv import suv

    return dict(suv(folder / "PT", folder / "mask" / "DRO_mask.nii.gz")["suvbw"])


@contextmanager
def _unpacked(place: Path) -> Iterator[Path]:
    """The object's folder: as it is, or from its archive into a temporary one."""
    if place.is_dir():
        yield place
        return
    archive = place.with_suffix(".zip")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(archive) as packed:
                size = sum(member.file_size for member in packed.infolist())
                if size > OBJECT_LIMIT:
                    raise InputError(f"{archive}: unpacks to {size} bytes; expected about 3 MB")
                packed.extractall(scratch)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError) as error:
            raise InputError(f"{archive}: cannot be unpacked: {error}") from error
        inside = Path(scratch) / place.name
        if not inside.is_dir():
            raise InputError(f"{archive}: holds no folder {place.name}; expected the public object")
        yield inside


def _suv_factors(reference: Path | None) -> Iterator[Check]:
    folder = _present(reference, "pet/calculate_suv")
    if folder is None:
        yield _absent("SUV factors of real headers", CALCULATE_SUV)
        return
    for name, (expected, relative) in FACTORS.items():
        path = folder / f"{name}-instances.json"
        if not path.is_file():
            yield _absent(f"SUV factor of {name}", CALCULATE_SUV)
            continue
        fact = _Fact(
            name=f"SUV factor of {name} [g/Bq]", expected=expected,
            tolerance=1e-6 * expected if relative else 1e-6, source=CALCULATE_SUV,
        )  # fmt: skip
        yield _check(fact, _factor, path)


def _factor(path: Path) -> float:
    from igdd.modalities.pet import suv_factor

    try:
        instances = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    return float(suv_factor([_header(instance) for instance in instances]).value)


def _header(instance: dict[str, Any]) -> Dataset:
    """A DICOM header of one slice from the flat record of the public set."""
    from pydicom import Dataset

    header, tracer = Dataset(), Dataset()
    private = instance.get("PhilipsPETPrivateGroup", {})
    for keyword, value in instance.items():
        if keyword != "PhilipsPETPrivateGroup":
            place = tracer if keyword.startswith("Radio") else header
            setattr(place, keyword, value.strip() if isinstance(value, str) else value)
    header.RadiopharmaceuticalInformationSequence = [tracer]
    for element, keyword in ((0x00, "SUVScaleFactor"), (0x09, "ActivityConcentrationScaleFactor")):
        if keyword in private:
            block = header.private_block(0x7053, "Philips PET Private Group", create=True)
            block.add_new(element, "DS", private[keyword])
    return header


def _half_lives(reference: Path | None) -> Iterator[Check]:
    path = _present(reference, "pet/decay/halflives_icrp107.csv")
    if path is None:
        yield _absent("half-lives", DECAY_SOURCE)
        return
    stated = {row["nuclide"]: float(row["half_life_s"]) for row in _rows(path)}
    fact = _Fact(
        name=f"half-lives of {len(stated)} nuclides, largest relative difference", expected=0.0,
        tolerance=1e-9, source=DECAY_SOURCE,
    )  # fmt: skip
    yield _check(fact, _worst_half_life, stated)


def _worst_half_life(stated: dict[str, float]) -> float:
    from igdd.decay import nuclide

    return max(abs(nuclide(name).half_life / value - 1) for name, value in stated.items())


def _chains(reference: Path | None) -> Iterator[Check]:
    path = _present(reference, "pet/decay/chain_activity_reference.csv")
    if path is None:
        yield _absent("decay chains", DECAY_SOURCE)
        return
    for row in _rows(path):
        expected = float(row["activity_Bq"])
        when = f"{row['t']} {row['unit']}"
        fact = _Fact(
            name=f"{row['nuclide']} from {row['A0_Bq']} Bq of {row['parent']} after {when} [Bq]",
            expected=expected,
            tolerance=1e-9 * expected,  # ten digits are printed
            source=DECAY_SOURCE,
        )
        yield _check(fact, _in_chain, row)


def _in_chain(row: dict[str, str]) -> float:
    from igdd.decay import UNITS, chain_activities

    seconds = float(row["t"]) * UNITS[row["unit"]]
    activities = chain_activities(row["parent"], float(row["A0_Bq"]), seconds)
    if row["nuclide"] not in activities:
        raise InputError(f"{row['nuclide']} is not in the chain of {row['parent']}")
    return activities[row["nuclide"]]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _ct_phantom(reference: Path | None) -> Iterator[Check]:
    folder = _present(reference, "radiomics/ibsi1/ct_phantom")
    if folder is None:
        yield _absent("IBSI 1 CT phantom", IBSI_CT)
        return
    mask, contours = folder / "nifti" / "mask.nii.gz", folder / "dicom" / "mask"
    drawn = folder / "nifti" / "phantom.nii.gz", folder / "dicom" / "image"
    # Consensus and tolerance of configuration A: the voxel count, the volume by voxel counting.
    for name, compute, expected, tolerance in (
        ("voxels of the NIfTI mask", lambda: _drawn(drawn[0], mask)[1], 125256.0, 0.0),
        ("volume of the NIfTI mask [mL]", lambda: _drawn(drawn[0], mask)[0], 359.0, 5.0),
        ("volume of the RTSTRUCT [mL]", lambda: _drawn(drawn[1], contours)[0], 359.0, 5.0),
        (
            "volume of the RTSTRUCT over that of the NIfTI mask",
            lambda: _drawn(drawn[1], contours)[0] / _drawn(drawn[0], mask)[0], 1.0, 0.01,
        ),
    ):  # fmt: skip
        fact = _Fact(
            name=f"IBSI 1 CT phantom, {name}", expected=expected, tolerance=tolerance,
            source=IBSI_CT,
        )  # fmt: skip
        yield _check(fact, compute)


def _drawn(image: Path, regions: Path) -> tuple[float, float]:
    """Volume in mL, and number of voxels, of all that is drawn on an image.

    `regions` is a file, or a folder that holds one file.
    """
    from igdd import catalog

    if regions.is_dir():
        files = sorted(regions.iterdir())
        if len(files) != 1:
            raise InputError(f"{regions}: holds {len(files)} files; expected one RTSTRUCT")
        regions = files[0]

    series = catalog.read_series(image)
    if len(series) != 1:
        raise InputError(f"{image}: {len(series)} series; expected one")
    found = catalog.read_regions(regions, series[0].grid)
    return float(found.volume.sum()), float(found.weights.sum())
