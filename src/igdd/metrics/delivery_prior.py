"""The prior of delivery: 378 published courses of nanoparticles in tumours of mice.

`delivery_studies.csv` holds a row of facts and figures for each study, `delivery_courses.csv` its
observed points (their source, CC0, stands in their first line). Figures are evaluated from the
points, for all studies in the same window (`igdd.metrics.delivery_place` sets a formulation among
them). The studies say of a carrier that it is organic, inorganic or hybrid, no more.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from igdd.errors import InputError
from igdd.kernels.delivery_course import Courses, measure

CARRIERS = ("organic", "inorganic", "hybrid")
TARGETINGS = ("active", "passive")
SITES = ("orthotopic", "heterotopic")
GRAFTS = ("xenograft", "allograft")
# Stems of what people call a carrier -> the type that the studies state.
STEMS = {
    "liposom": "organic", "micell": "organic", "polym": "organic", "dendrim": "organic",
    "hydrogel": "organic", "nanogel": "organic", "album": "organic", "protein": "organic",
    "lipid": "organic", "exosom": "organic", "plga": "organic", "chitosan": "organic",
    "gold": "inorganic", "silica": "inorganic", "iron oxide": "inorganic", "spion": "inorganic",
    "quantum dot": "inorganic", "silver": "inorganic", "upconver": "inorganic",
}  # fmt: skip
MICE = frozenset({"mouse", "mice", "mus musculus", "murine"})

UNITS = {
    "time_averaged_percent_id": "%",
    "auc_percent_id": "%.h",
    "percent_id_24h": "%",
    "percent_id_168h": "%",
    "percent_id_at": "%",
    "max_percent_id": "%",
    "max_percent_id_per_g": "%/g",
}
FIXED_TIMES = {"percent_id_24h": 24.0, "percent_id_168h": 168.0}


@dataclass(frozen=True, kw_only=True, eq=False)
class Studies:
    """Facts of the studies (n,): texts as tuples, empty where not stated; numbers NaN there."""

    carrier: tuple[str, ...]
    targeting: tuple[str, ...]
    graft: tuple[str, ...]
    site: tuple[str, ...]
    cancer: tuple[str, ...]
    series: np.ndarray
    size: np.ndarray
    tumour_weight: np.ndarray
    courses: Courses
    source: str


@dataclass(frozen=True, kw_only=True)
class Formulation:
    """What is stated of a formulation and its tumour; None where it is not.

    carrier        organic, inorganic or hybrid
    size           hydrodynamic diameter in nm
    tumour_weight  in g
    """

    carrier: str | None = None
    size: float | None = None
    targeting: str | None = None
    site: str | None = None
    graft: str | None = None
    cancer: str | None = None
    tumour_weight: float | None = None


@lru_cache(maxsize=1)
def studies() -> Studies:
    """The studies, from the two tables of the package."""
    source, rows = _table("delivery_studies.csv")
    _, points = _table("delivery_courses.csv")

    def texts(name: str) -> tuple[str, ...]:
        return tuple(row[name] for row in rows)

    def numbers(name: str, table: list[dict[str, str]]) -> np.ndarray:
        return np.array([float(row[name] or "nan") for row in table])

    return Studies(
        carrier=texts("carrier"),
        targeting=texts("targeting"),
        graft=texts("graft"),
        site=texts("site"),
        cancer=texts("cancer"),
        series=numbers("series", rows).astype(int),
        size=numbers("size_nm", rows),
        tumour_weight=numbers("tumour_weight_g", rows),
        courses=Courses.of(
            numbers("study", points),
            numbers("time_h", points),
            numbers("percent_id", points),
            numbers("percent_id_per_g", points),
        ),
        source=source,
    )


def _table(name: str) -> tuple[str, list[dict[str, str]]]:
    """The source in a table's first line, and its rows."""
    first, _, rest = files("igdd.metrics").joinpath(name).read_text("utf-8").partition("\n")
    return first.lstrip("# "), list(csv.DictReader(rest.splitlines()))


def carrier_type(text: str) -> str:
    """The studies' type of a carrier that people call otherwise.

    >>> carrier_type("PEG-liposome"), carrier_type("inorganic")
    ('organic', 'inorganic')
    """
    plain = text.strip().lower().replace("-", " ").replace("_", " ")
    if plain in CARRIERS:
        return plain
    found = {kind for stem, kind in STEMS.items() if stem in plain}
    if len(found) != 1:
        raise InputError(
            f"carrier {text[:60]!r} is {'of two types' if found else 'not known'} to the prior; "
            f"expected {', '.join(CARRIERS)}, or a name with {', '.join(sorted(STEMS))}"
        )
    return found.pop()


def check_species(species: str | None, where: str) -> tuple[str, ...]:
    """Refuse any species but the mouse; a flag where nobody stated one."""
    if not species:
        return ("species_assumed",)
    if species.strip().lower() not in MICE:
        raise InputError(
            f"{where}: species is {species[:40]!r}, but the prior holds tumours of mice only: a "
            "share of the dose does not carry over to another body; expected mouse; "
            "see igdd scale for other species"
        )
    return ()


def figures(metric: str, at: float | None = None, until: float | None = None) -> np.ndarray:
    """One figure of every study (n,), in the window asked for; NaN where a study has none."""
    if metric not in UNITS:
        raise InputError(f"metric {metric[:60]!r} is not known; expected {', '.join(UNITS)}")
    moment = FIXED_TIMES.get(metric, at)
    if (metric == "percent_id_at") != (at is not None):
        raise InputError(
            f"metric {metric!r} {'without' if at is None else 'with'} a time; expected one "
            "(at, such as '48 h') for percent_id_at and for no other"
        )
    for name, limit in (("at", at), ("until", until)):
        if limit is not None and not 0 < limit < np.inf:
            raise InputError(f"{name} is {limit:g} h; expected a time above zero")
    pointwise = "percent_id_at" if metric in FIXED_TIMES else metric
    if pointwise == "percent_id_at" and until is not None:
        raise InputError(f"metric {metric!r} stands at one time; expected no window's end (until)")
    return measure(studies().courses, pointwise, at=moment, until=until)
