"""Occupancy of a target by a drug: from a baseline and a blocked session of the same subjects.

With distribution volumes, the Lassen plot over the regions of a subject gives one occupancy and
VND; with binding potentials, every region gives its own. Occupancies of subjects are averaged with
Student's t.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.declare import Comparison, Option
from igdd.errors import StudyError
from igdd.flags import join
from igdd.results import FINDINGS

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3  # regions of a Lassen plot
LASSEN = "Lassen plot over regions, unweighted; Student's t for the slope, Fieller's limits for VND"
PAIRS = "1 - BPND blocked / BPND baseline, Fieller's limits from both standard errors"
MEAN = "mean over subjects, Student's t"


def occupancy(
    measurements: pd.DataFrame,
    *,
    on: str,
    sessions: Sequence[str],
    kinds: Mapping[str, str],
    regions: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Occupancy [1] from VT (Lassen plot) or BPND (region by region), baseline session first."""
    import pandas as pd

    if not on.endswith(("VT", "BPND")):
        raise StudyError(
            f"compare.on = {on!r}; expected a distribution volume or binding potential, such as "
            "two_tissue_VT or srtm_BPND"
        )
    pairs = _pairs(measurements, on, sessions, kinds, regions)
    found = [
        finding
        for subject, rows in pairs.groupby("subject", sort=True)
        for finding in (_lassen if on.endswith("VT") else _each)(str(subject), rows, on, sessions)
    ]
    found += _mean(found, on, sessions)
    return pd.DataFrame(found, columns=list(FINDINGS))


def _pairs(
    measurements: pd.DataFrame,
    on: str,
    sessions: Sequence[str],
    kinds: Mapping[str, str],
    regions: Mapping[str, Any] | None,
) -> pd.DataFrame:
    """Value and sd of both sessions side by side, one row for each subject and region."""
    from fnmatch import fnmatchcase

    if len(sessions) != 2 or sessions[0] == sessions[1]:
        raise StudyError(f"compare.sessions = {list(sessions)}; expected the baseline and another")
    rows = measurements[measurements["metric"] == on]
    for session in sessions:
        if session not in set(rows["session"]):
            known = ", ".join(sorted(set(rows["session"]))) or "(none)"
            raise StudyError(
                f"compare.sessions names {session!r}, which has no {on}; expected one of {known}"
            )
    chosen = dict(regions or {})
    if chosen.get("kind") is not None:
        rows = rows[rows["region"].map(lambda name: kinds.get(name, "")) == chosen["kind"]]
    if chosen.get("name") is not None:
        names = chosen["name"]
        rows = rows[[any(fnmatchcase(name, one) for one in names) for name in rows["region"]]]
    key = ["subject", "analyte", "region"]
    first, second = (
        rows[rows["session"] == session][[*key, "value", "sd"]] for session in sessions
    )
    both: pd.DataFrame = first.merge(second, on=key, suffixes=("_baseline", "_blocked"))
    both = both[np.isfinite(both["value_baseline"]) & np.isfinite(both["value_blocked"])]
    if not len(both):
        raise StudyError(
            f"no subject has {on} of a region in both {sessions[0]} and {sessions[1]}; expected "
            "pairs"
        )
    return both


def _finding(on: str, sessions: Sequence[str], **said: Any) -> dict[str, Any]:
    plain = {
        "comparison": "occupancy", "metric": on, "session": sessions[1], "analyte": "label",
        "region": "all regions", "contrast": "occupancy", "p": np.nan, "p_adjusted": np.nan,
        "unit": "1", "flags": "", "sentence": "", "low": np.nan, "high": np.nan,
    }  # fmt: skip
    return plain | said


def _lassen(
    subject: str, rows: pd.DataFrame, on: str, sessions: Sequence[str]
) -> list[dict[str, Any]]:
    """Occupancy of one subject, and VND, by the Lassen plot."""
    from igdd.kernels.occupancy import lassen

    about = {"n": float(len(rows)), "method": LASSEN, "analyte": str(rows["analyte"].iloc[0])}
    contrast = f"occupancy of subject {subject}"
    if len(rows) < FEWEST:
        return [
            _finding(on, sessions, contrast=contrast, estimate=np.nan,
                     flags=join(["not_estimable"]), **about,
                     sentence=f"Subject {subject} has {len(rows)} regions in both sessions; a "
                     f"Lassen plot needs {FEWEST}.")
        ]  # fmt: skip
    found = lassen(rows["value_baseline"].to_numpy(), rows["value_blocked"].to_numpy())
    low, high = found.occupancy_limits
    said = _finding(
        on, sessions, contrast=contrast, estimate=found.occupancy, low=low, high=high, **about
    )
    said["sentence"] = _sentence(contrast, said)
    VND = _finding(
        on, sessions, contrast=f"VND of subject {subject}", estimate=found.VND,
        low=found.VND_limits[0], high=found.VND_limits[1], **about, unit="mL/cm3",
    )  # fmt: skip
    return [said, VND]


def _each(
    subject: str, rows: pd.DataFrame, on: str, sessions: Sequence[str]
) -> list[dict[str, Any]]:
    """Occupancy of one subject in every region, from its binding potentials."""
    from igdd.kernels.occupancy import individual

    numbers = [rows[f"{name}_{when}"].to_numpy(dtype=float)
               for name in ("value", "sd") for when in ("baseline", "blocked")]  # fmt: skip
    found = individual(*numbers)
    said = []
    for place, region in enumerate(rows["region"]):
        contrast = f"occupancy of subject {subject}"
        one = _finding(
            on, sessions, contrast=contrast, region=str(region), n=1.0, method=PAIRS,
            estimate=float(found.occupancy[place]), low=float(found.low[place]),
            high=float(found.high[place]), analyte=str(rows["analyte"].iloc[place]),
        )  # fmt: skip
        one["sentence"] = _sentence(f"{contrast} in {region}", one)
        said.append(one)
    return said


def _mean(found: list[dict[str, Any]], on: str, sessions: Sequence[str]) -> list[dict[str, Any]]:
    """The mean over three or more subjects, region by region."""
    from scipy.special import stdtrit

    places: dict[str, list[float]] = {}
    for one in found:
        if str(one["contrast"]).startswith("occupancy") and np.isfinite(one["estimate"]):
            places.setdefault(one["region"], []).append(one["estimate"])
    said = []
    for region, values in places.items():
        if len(values) < FEWEST:
            continue
        mean = float(np.mean(values))
        half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1)) / len(values) ** 0.5
        one = _finding(
            on, sessions, contrast="mean occupancy", region=region, n=float(len(values)),
            estimate=mean, low=mean - half, high=mean + half, method=MEAN,
        )  # fmt: skip
        one["sentence"] = _sentence("mean occupancy", one)
        said.append(one)
    return said


def _sentence(what: str, finding: Mapping[str, Any]) -> str:
    value, low, high = (100 * float(finding[name]) for name in ("estimate", "low", "high"))
    known = f" ({low:.0f} to {high:.0f})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{what[0].upper()}{what[1:]} in {finding['session']}: {value:.0f} %{known}."


COMPARISONS = (
    Comparison(
        "occupancy",
        occupancy,
        options=(
            Option("on", "text", help="metric that is compared: ..._VT or ..._BPND"),
            Option("sessions", "texts", help="the baseline session, then the blocked one"),
            Option("regions", "regions", default=None, help="which regions: kind or name"),
        ),
        question="Q2",
        reference="doi:10.1038/jcbfm.2009.190",
    ),
)
