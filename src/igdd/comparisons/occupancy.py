"""Occupancy of a target by a drug: from a baseline and a blocked session of the same subjects.

With distribution volumes, the Lassen plot over the regions of a subject gives one occupancy and
VND; with binding potentials, every region gives its own. Occupancies of subjects are averaged with
Student's t; with each subject's dose they give ED50 and Emax.

Blood and reference regions hold no target and are not looked at unless the study names them. A
region whose fit is in doubt in either session (`DOUBTFUL`) says nothing of the occupancy: one such
volume, far off and with the largest lever of all, would decide the slope. It is left out, and the
finding says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import units
from igdd.declare import Comparison, Option
from igdd.errors import InputError, StudyError, UnitsError
from igdd.flags import join
from igdd.kinetics import Status
from igdd.results import FINDINGS

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3  # regions of a Lassen plot; subjects of a mean
DOUBTFUL = frozenset({"at_bound", "not_converged", "not_fitted", "poorly_identified"})
LEFT_OUT = "doubtful_regions_left_out"
WITHOUT_TARGET = ("blood", "reference", "remainder")
LASSEN = (
    "Lassen plot over regions, errors of both sessions' VT weighed by their standard errors "
    "(York 2004), limits by Student's t on the residuals"
)
ORDINARY = (
    "Lassen plot over regions, unweighted; Student's t for the slope, Fieller's limits for VND"
)
PAIRS = "1 - BPND blocked / BPND baseline, Fieller's limits from both standard errors"
MEAN = "mean over subjects, Student's t"
EMAX = "Emax dose / (ED50 + dose) over subjects, least squares; Student's t, of ED50 on its log"


def occupancy(
    measurements: pd.DataFrame,
    *,
    on: str,
    sessions: Sequence[str],
    kinds: Mapping[str, str],
    regions: Mapping[str, Any] | None = None,
    doses: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Occupancy [1] from VT (Lassen plot) or BPND (region by region), baseline session first."""
    import pandas as pd

    given = None if doses is None else _doses(doses)
    table = pairs(measurements, on=on, sessions=sessions, kinds=kinds, regions=regions)
    found = [
        finding
        for _, rows in table.groupby(["subject", "analyte"], sort=True)
        for finding in (_lassen if on.endswith("VT") else _each)(rows, on, sessions)
    ]
    found += _mean(found, on, sessions) + _by_dose(found, on, sessions, given)
    return pd.DataFrame(found, columns=list(FINDINGS))


def pairs(
    measurements: pd.DataFrame,
    *,
    on: str,
    sessions: Sequence[str],
    kinds: Mapping[str, str],
    regions: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Value and random standard error of both sessions, one row for each subject and region.

    `doubtful` says that the fit of either session is flagged or gave nothing.
    """
    if not on.endswith(("VT", "BPND")):
        raise StudyError(
            f"compare.on = {on!r}; expected a distribution volume or binding potential, such as "
            "two_tissue_VT or srtm_BPND"
        )
    if len(sessions) != 2 or sessions[0] == sessions[1]:
        raise StudyError(f"compare.sessions = {list(sessions)}; expected the baseline and another")
    rows = measurements[measurements["metric"] == on]
    for session in sessions:
        if session not in set(rows["session"]):
            known = ", ".join(sorted(set(rows["session"]))) or "(none)"
            raise StudyError(
                f"compare.sessions names {session!r}, which has no {on}; expected one of {known}"
            )
    rows = rows[[_is_chosen(str(name), kinds, regions or {}) for name in rows["region"]]]
    key = ["subject", "analyte", "region"]
    first, second = (_of_session(rows, session, key, on) for session in sessions)
    both: pd.DataFrame = first.merge(second, on=key, suffixes=("_baseline", "_blocked"))
    if not len(both):
        raise StudyError(
            f"no subject has {on} of a region in both {sessions[0]} and {sessions[1]}; expected "
            "pairs of regions that hold the target (blood and reference do not, unless they are "
            "named in compare.regions)"
        )
    return both.assign(doubtful=both["doubtful_baseline"] | both["doubtful_blocked"])


def _is_chosen(region: str, kinds: Mapping[str, str], chosen: Mapping[str, Any]) -> bool:
    """Whether a region is looked at; one without a target only where it is named, or its kind."""
    from fnmatch import fnmatchcase

    kind, names = chosen.get("kind"), chosen.get("name")
    if kind is not None and kinds.get(region, "") != kind:
        return False
    if names is not None and not any(fnmatchcase(region, one) for one in names):
        return False
    said = kind is not None or region in (names or ())
    return said or kinds.get(region) not in WITHOUT_TARGET


def _of_session(rows: pd.DataFrame, session: str, key: list[str], on: str) -> pd.DataFrame:
    """Value, random sd and doubt of every region of a session."""
    own = rows[rows["session"] == session]
    again = own.duplicated(key)
    if again.any():
        twice = own[again].iloc[0]
        raise StudyError(
            f"subject {twice['subject']}, session {session}: {on} of {twice['region']} is there "
            "twice; expected one fit of a model in a study that compares it"
        )
    # What calibration does to all regions of a scan alike is no scatter between them.
    common = np.nan_to_num(own["sd_shared"].to_numpy(dtype=float))
    random = np.sqrt(np.maximum(own["sd"].to_numpy(dtype=float) ** 2 - common**2, 0.0))
    flagged = [bool(DOUBTFUL & {*str(text or "").split(";")}) for text in own["flags"]]
    missing = ~np.isfinite(own["value"].to_numpy(dtype=float))
    return own[[*key, "value"]].assign(sd=random, doubtful=np.array(flagged, bool) | missing)


def _finding(on: str, sessions: Sequence[str], **said: Any) -> dict[str, Any]:
    plain = {
        "comparison": "occupancy", "metric": on, "session": sessions[1], "analyte": "label",
        "region": "all regions", "contrast": "occupancy", "p": np.nan, "p_adjusted": np.nan,
        "unit": "1", "flags": "", "sentence": "", "low": np.nan, "high": np.nan,
    }  # fmt: skip
    return plain | said


def _without_doubt(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], str]:
    """The rows that count, the flag of those that do not, and a sentence about them."""
    kept = rows[~rows["doubtful"]]
    names = sorted(str(name) for name in rows.loc[rows["doubtful"], "region"])
    if not names:
        return kept, [], ""
    shown = ", ".join([*names[:5], *(["others"] if len(names) > 5 else [])])
    regions = "1 region" if len(names) == 1 else f"{len(names)} regions"
    return kept, [LEFT_OUT], f" {regions} left out, fits in doubt: {shown}."


def _lassen(rows: pd.DataFrame, on: str, sessions: Sequence[str]) -> list[dict[str, Any]]:
    """Occupancy of one subject, and VND, by the Lassen plot."""
    from igdd.kernels.occupancy import lassen

    subject, analyte = str(rows["subject"].iloc[0]), str(rows["analyte"].iloc[0])
    kept, flags, lost = _without_doubt(rows)
    values, errors = (
        [kept[f"{name}_{when}"].to_numpy(dtype=float) for when in ("baseline", "blocked")]
        for name in ("value", "sd")
    )
    weighed = all(bool(((one > 0) & np.isfinite(one)).all()) for one in errors)
    about = {
        "n": float(len(kept)), "method": LASSEN if weighed else ORDINARY, "analyte": analyte,
        "flags": join(flags),
    }  # fmt: skip
    contrast = f"occupancy of subject {subject}"
    if len(kept) < FEWEST or not np.ptp(values[0]) > 0:
        which = "has" if len(kept) == len(rows) else "keeps"
        why = f"{len(kept)} of the same VT" if len(kept) >= FEWEST else f"{len(kept)}"
        about["flags"] = join([*flags, "not_estimable"])
        sentence = (
            f"Subject {subject} {which} {why} regions in both sessions; a Lassen plot needs "
            f"{FEWEST} that differ.{lost}"
        )
        return [_finding(on, sessions, contrast=contrast, estimate=np.nan, sentence=sentence,
                         **about)]  # fmt: skip
    found = lassen(*values, *(errors if weighed else ()))
    low, high = found.occupancy_limits
    said = _finding(
        on, sessions, contrast=contrast, estimate=found.occupancy, low=low, high=high, **about
    )
    said["sentence"] = _sentence(contrast, said) + lost
    VND = _finding(
        on, sessions, contrast=f"VND of subject {subject}", estimate=found.VND,
        low=found.VND_limits[0], high=found.VND_limits[1], **about, unit="mL/cm3",
    )  # fmt: skip
    return [said, VND]


def _each(rows: pd.DataFrame, on: str, sessions: Sequence[str]) -> list[dict[str, Any]]:
    """Occupancy of one subject in every region, from its binding potentials."""
    from igdd.kernels.occupancy import individual

    contrast = f"occupancy of subject {rows['subject'].iloc[0]}"
    said = []
    for row in rows.to_dict("records"):
        about = {"contrast": contrast, "region": str(row["region"]), "n": 1.0, "method": PAIRS,
                 "analyte": str(row["analyte"])}  # fmt: skip
        if row["doubtful"]:
            said.append(
                _finding(on, sessions, estimate=np.nan, flags=join([LEFT_OUT, "not_estimable"]),
                         sentence=f"The {contrast} in {row['region']} is not known: its fit is in "
                         "doubt.", **about)
            )  # fmt: skip
            continue
        numbers = [np.array([row[f"{name}_{when}"]])
                   for name in ("value", "sd") for when in ("baseline", "blocked")]  # fmt: skip
        found = individual(*numbers)
        one = _finding(
            on, sessions, estimate=float(found.occupancy[0]), low=float(found.low[0]),
            high=float(found.high[0]), **about,
        )  # fmt: skip
        one["sentence"] = _sentence(f"{contrast} in {row['region']}", one)
        said.append(one)
    return said


def _of_subjects(found: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, float]]:
    """Known occupancies of subjects by (region, analyte), subject -> occupancy."""
    places: dict[tuple[str, str], dict[str, float]] = {}
    start = "occupancy of subject "
    for one in found:
        if str(one["contrast"]).startswith(start) and np.isfinite(one["estimate"]):
            subject = str(one["contrast"]).removeprefix(start)
            places.setdefault((one["region"], one["analyte"]), {})[subject] = one["estimate"]
    return places


def _mean(
    found: Sequence[Mapping[str, Any]], on: str, sessions: Sequence[str]
) -> list[dict[str, Any]]:
    """The mean over three or more subjects, region by region."""
    from scipy.special import stdtrit

    said = []
    for (region, analyte), known in _of_subjects(found).items():
        values = list(known.values())
        if len(values) < FEWEST:
            continue
        mean = float(np.mean(values))
        half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1)) / len(values) ** 0.5
        one = _finding(
            on, sessions, contrast="mean occupancy", region=region, n=float(len(values)),
            estimate=mean, low=mean - half, high=mean + half, method=MEAN, analyte=analyte,
        )  # fmt: skip
        one["sentence"] = _sentence("mean occupancy", one)
        said.append(one)
    return said


def _doses(texts: Sequence[str]) -> tuple[dict[str, float], str]:
    """Subject -> dose, all in the unit of the first, and that unit."""
    found: dict[str, float] = {}
    unit = ""
    for text in texts:
        subject, sign, dose = (one.strip() for one in text.partition("="))
        number, _, own = dose.partition(" ")
        if not (subject and sign and number and own.strip()) or subject in found:
            raise StudyError(
                f"compare.doses has {text!r}; expected SUBJECT=DOSE with a unit, each subject "
                "once, such as '01=5 mg'"
            )
        unit = unit or own.strip()
        try:
            found[subject] = units.read(dose, unit)
        except UnitsError as error:
            raise UnitsError(f"compare.doses, {subject}: {error}") from error
    return found, unit


def _by_dose(
    found: Sequence[Mapping[str, Any]],
    on: str,
    sessions: Sequence[str],
    given: tuple[dict[str, float], str] | None,
) -> list[dict[str, Any]]:
    """ED50 and Emax of subjects with a known dose, region by region."""
    from igdd.kernels.occupancy import dose_occupancy

    said: list[dict[str, Any]] = []
    if given is None:
        return said
    doses, unit = given
    known = {str(one["contrast"]).removeprefix("occupancy of subject ") for one in found}
    if not known & set(doses):
        raise StudyError(
            f"compare.doses names {', '.join(doses)}, none of whom has an occupancy; expected "
            "subjects of the study"
        )
    for (region, analyte), values in _of_subjects(found).items():
        both = [subject for subject in values if subject in doses]
        about = {"region": region, "analyte": analyte, "n": float(len(both)), "method": EMAX}
        try:
            fit = dose_occupancy(
                np.array([doses[subject] for subject in both]),
                np.array([values[subject] for subject in both]),
            )
        except InputError as error:
            said.append(_finding(on, sessions, contrast="ED50", estimate=np.nan, unit=unit,
                                 flags=join(["not_estimable"]), sentence=f"No ED50: {error}.",
                                 **about))  # fmt: skip
            continue
        flags = Status(fit.status).flags
        for name, column, own in (("ED50", 1, unit), ("Emax", 0, "1")):
            value, low, high = (float(one[column]) for one in (fit.parameters, fit.low, fit.high))
            one = _finding(on, sessions, contrast=name, estimate=value, low=low, high=high,
                           unit=own, flags=join(flags), **about)  # fmt: skip
            scale, shown = (100, "%") if own == "1" else (1, own)
            one["sentence"] = (
                f"{name} in {region}: {scale * value:.3g} {shown} ({scale * low:.3g} to "
                f"{scale * high:.3g}), {len(both)} subjects."
            )
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
            Option(
                "doses", "texts", default=None,
                help="of the drug, each subject's: '01=5 mg'; then ED50 and Emax are found, too",
            ),
        ),
        question="Q2",
        reference="doi:10.1038/jcbfm.2009.190",
    ),
)  # fmt: skip
