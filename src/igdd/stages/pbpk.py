"""Nanoparticle PBPK of mice: tumour uptake over time, and which step limits it.

One study from a parameter file, or many from a table; beside observed curves where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels.elasticity import Elasticities, elasticities
from igdd.kernels.nanoparticle_pbpk import (
    AS_PUBLISHED,
    BODY,
    EXCRETED,
    FLOW_CONSISTENT,
    INJECTED,
    PLACE,
    STATES,
    TISSUES,
    UNITS,
    VARIANTS,
    simulate,
)
from igdd.stages.pbpk_inputs import (
    Observed,
    Studies,
    mouse,
    read_observed,
    read_parameters,
    read_studies,
    read_times,
)

MODEL = "permeability-limited nanoparticle PBPK with phagocytic uptake, mouse"
MEANING = {
    FLOW_CONSISTENT: "the liver's outflow is its arterial flow and the spleen's",
    AS_PUBLISHED: "as in the published code: venous return without the spleen's flow, the liver's "
    "outflow its arterial flow alone, no haematocrit, rest of the body = 1 - tissues - plasma",
}
CONVENTION = "tumour is tissue and phagocytes, without its blood; bolus into the veins"
DEFAULT_TIMES = "0.5 h, 1 h, 2 h, 4 h, 8 h, 24 h, 48 h, 72 h, 168 h"
# A curve for peaks and charts: its points, and the first after the dose (h).
CURVE, EARLIEST = 160, 0.02
# Times of the outcomes whose elasticities are given, and the end of their area (h).
DAY, WEEK = 24.0, 168.0
OUTCOMES = ("at 24 h", "at 168 h", "maximum", "area to 168 h")
TIGHT = 1e-9  # local error, relative, where differences are taken
ROOM = 4_000_000  # amounts held at once
TUMOUR = ("tumour_tissue", "tumour_cells")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a call found: facts to print, and the curves that a page draws.

    curve_times (t,), curves (study, t) tumour uptake in %ID; fitted (t,) of each study fitted
    """

    facts: dict[str, Any]
    curve_times: np.ndarray
    curves: np.ndarray
    observed: Mapping[str, Observed]
    fitted: Mapping[str, np.ndarray] = field(default_factory=dict)


def pbpk(
    parameters: Path | str | None = None,
    *,
    table: Path | str | None = None,
    times: str = DEFAULT_TIMES,
    observed: Path | str | None = None,
    variant: str = FLOW_CONSISTENT,
    elasticity: bool = False,
    fit: bool = False,
    error: float | None = None,
    progress: Progress = lambda done, total: None,
) -> Found:
    """Tumour uptake (%ID) of nanoparticles in mice by the permeability-limited PBPK model.

    parameters  TOML with what differs from the mouse that ships; units in the text
    table       one row per study; columns are parameters, others as in `parameters`
    times       such as "1 h, 24 h, 7 d"
    observed    table of study, time [h], percent_id [%], optional sd [%]
    variant     flow_consistent or as_published
    elasticity  also d ln(uptake) / d ln(parameter) for every parameter; one study only
    fit         also the tumour's six parameters of every observed curve, by maximum a posteriori
    error       relative standard deviation of an observation without sd; for the fit
    """
    if variant not in VARIANTS:
        raise InputError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}")
    base = mouse() if parameters is None else read_parameters(Path(parameters))
    wanted = read_times(times)
    studies = _one_study(base) if table is None else read_studies(Path(table), base)
    seen = {} if observed is None else _matched(read_observed(Path(observed)), studies)
    if fit and not seen:
        raise InputError("a fit needs observed curves; expected --observed TABLE")
    facts: dict[str, Any] = {
        "model": MODEL,
        "variant": {"name": variant, "means": MEANING[variant]},
        "convention": CONVENTION,
        "times": {"unit": "h", "values": wanted.tolist()},
    }
    last = max([wanted[-1], *(one.time[-1] for one in seen.values() if one.time.size)])
    facts["studies"], ground, curves = _studies(studies, wanted, float(last), variant)
    facts["mass_error"] = max(study["mass_error"] for study in facts["studies"])
    fitted: dict[str, np.ndarray] = {}
    if seen:
        facts["agreement"] = _agreement(studies, seen, variant)
    if elasticity:
        facts["elasticities"] = _listed(uptake_elasticities(_only(studies), variant))
    if fit:
        from igdd.stages.pbpk_fit import fit_studies, fitted_curves

        facts["fit"] = fit_studies(studies, seen, variant, error=error, progress=progress)
        fitted = fitted_curves(facts["fit"], studies, ground, variant)
    return Found(facts=facts, curve_times=ground, curves=curves, observed=seen, fitted=fitted)


def _only(studies: Studies) -> dict[str, float]:
    """Parameters of the only study."""
    if len(studies.names) > 1:
        raise InputError(
            f"elasticities of {len(studies.names)} studies; expected one, from a parameter file"
        )
    return {name: float(value[0]) for name, value in studies.parameters.items()}


def _one_study(base: Mapping[str, float]) -> Studies:
    return Studies(
        names=("1",),
        parameters={name: np.array([value]) for name, value in base.items()},
        source="parameters",
    )


def _matched(seen: dict[str, Observed], studies: Studies) -> dict[str, Observed]:
    """Observed curves by the studies' names; a single one of each belongs together."""
    if len(seen) == 1 and len(studies.names) == 1:
        return {studies.names[0]: next(iter(seen.values()))}
    strange = sorted(set(seen) - set(studies.names))
    if strange:
        raise InputError(
            f"observed study {strange[0][:60]!r} is not among the {len(studies.names)} of "
            f"{studies.source}; expected the same names"
        )
    return seen


def of_rows(studies: Studies, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters of some studies."""
    return {
        name: value if value.size == 1 else value[rows]
        for name, value in studies.parameters.items()
    }


def _studies(
    studies: Studies, wanted: np.ndarray, last: float, variant: str
) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
    """Facts of every study, and curves on a ground of times to the last, with those wanted."""
    fine = np.geomspace(EARLIEST, last, CURVE) if last > EARLIEST else wanted[-1:]
    ground = np.unique(np.concatenate([[0.0], fine, wanted]))
    places = np.searchsorted(ground, wanted)
    facts, curves = [], []
    together = max(1, ROOM // (ground.size * len(STATES)))
    count = len(studies.names)
    for rows in np.array_split(np.arange(count), -(-count // together)):
        found = simulate(of_rows(studies, rows), ground, variant)
        for row, states in zip(rows, found, strict=True):
            name = studies.names[row]
            _check_solved(states, name)
            facts.append(_facts(name, states, ground, places))
            curves.append(states[:, [PLACE[state] for state in TUMOUR]].sum(axis=1))
    return facts, ground, np.array(curves)


def _check_solved(states: np.ndarray, name: str) -> None:
    if not np.isfinite(states).all():
        raise InputError(
            f"study {name[:60]!r}: the equations are too stiff to be solved; expected parameters "
            "of a mouse; look for a volume or a rate that is orders of magnitude off"
        )


def _facts(name: str, states: np.ndarray, ground: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """What is said of one study: uptake at the times wanted, its peak and area, where all is."""
    tumour = states[:, [PLACE[state] for state in TUMOUR]].sum(axis=1)
    peak = int(np.argmax(tumour))
    wanted = states[places]
    return {
        "study": name,
        "tumour": {"unit": "%", "values": tumour[places].tolist()},
        "peak": {"value": float(tumour[peak]), "unit": "%", "time": float(ground[peak])},
        "area": {"value": float(states[-1, PLACE["tumour_area"]]), "unit": "h.%",
                 "to": float(ground[-1])},
        "amounts": {place: found.tolist() for place, found in _places(wanted).items()},
        "mass_error": float(np.max(np.abs(states[:, :BODY].sum(axis=1) / INJECTED - 1))),
    }  # fmt: skip


def _places(states: np.ndarray) -> dict[str, np.ndarray]:
    """%ID in each tissue with its blood, in plasma, and excreted; the tumour's blood apart."""
    found = {
        tissue: states[:, [PLACE[name] for name in STATES if name.startswith(f"{tissue}_")
                           and name not in ("tumour_area", "tumour_blood")]].sum(axis=1)
        for tissue in TISSUES
    }  # fmt: skip
    found["tumour_blood"] = states[:, PLACE["tumour_blood"]]
    found["plasma"] = states[:, PLACE["arterial"]] + states[:, PLACE["venous"]]
    return found | {name: states[:, PLACE[name]] for name in EXCRETED}


def tumour_uptake(
    parameters: Mapping[str, float | np.ndarray],
    times: np.ndarray,
    variant: str = FLOW_CONSISTENT,
    relative: float | None = None,
) -> np.ndarray:
    """Tumour uptake (%ID) of s studies at times (t,) or (s, t) in h; NaN at a time that is NaN."""
    how = {} if relative is None else {"relative": relative}
    found = simulate(parameters, times, variant, **how)
    return np.asarray(found[:, :, [PLACE[name] for name in TUMOUR]].sum(axis=2))


def _agreement(studies: Studies, seen: Mapping[str, Observed], variant: str) -> dict[str, Any]:
    """How far the observed uptake lies from the simulated, as a factor."""
    named = {name: row for row, name in enumerate(studies.names)}
    used = [name for name, one in seen.items() if one.time.size]
    left_out = sum(one.left_out for one in seen.values())
    if not used:
        raise InputError("no observation is above zero and after the dose; expected some")
    times = np.full((len(used), max(seen[name].time.size for name in used)), np.nan)
    values = times.copy()
    for row, name in enumerate(used):
        times[row, : seen[name].time.size] = seen[name].time
        values[row, : seen[name].time.size] = seen[name].value
    rows = np.array([named[name] for name in used])
    simulated = tumour_uptake(of_rows(studies, rows), times, variant)
    ratio = (simulated / values)[np.isfinite(times)]
    far = np.abs(np.log(ratio))
    return {
        "points": int(ratio.size),
        "studies": len(used),
        "left_out": left_out,
        "aafe": float(np.exp(far.mean())),
        "within_twofold": float((far <= np.log(2)).mean()),
        "median_ratio": float(np.median(ratio)),
    }


def uptake_elasticities(
    parameters: Mapping[str, float], variant: str = FLOW_CONSISTENT
) -> Elasticities:
    """d ln(uptake) / d ln(parameter): rows in the order of `UNITS`, columns `OUTCOMES`.

    The maximum's is taken at the time of the maximum, which a small change of a parameter moves
    without effect. A fraction of flow or volume is taken from or given to the rest of the body.
    """
    base = {name: np.array([parameters[name]]) for name in UNITS}
    ground = np.geomspace(EARLIEST, WEEK, 4 * CURVE)
    highest = float(ground[int(np.argmax(tumour_uptake(base, ground, variant)[0]))])
    times = np.unique([DAY, WEEK, highest])

    def outcomes(points: np.ndarray) -> np.ndarray:
        named = dict(zip(UNITS, points.T, strict=True))
        states = simulate(named, times, variant, TIGHT)
        tumour = states[:, :, [PLACE[name] for name in TUMOUR]].sum(axis=2)
        at = np.searchsorted(times, [DAY, WEEK, highest])
        area = states[:, np.searchsorted(times, WEEK), PLACE["tumour_area"]]
        return np.column_stack([tumour[:, at], area])

    return elasticities(outcomes, np.array([parameters[name] for name in UNITS]))


def _listed(found: Elasticities) -> list[dict[str, Any]]:
    """Elasticities as rows, for each outcome from the largest to the smallest."""
    rows = []
    for column, outcome in enumerate(OUTCOMES):
        values = found.value[:, column]
        order = np.argsort(-np.nan_to_num(np.abs(values)), kind="stable")
        rows += [
            {
                "outcome": outcome,
                "parameter": list(UNITS)[place],
                "elasticity": float(values[place]),
                "error": float(found.error[place, column]),
            }
            for place in order
        ]
    return rows


MOST_SHOWN = 30


def text(found: Found) -> str:
    """Uptake of each study at the times asked for, what the variant is, and the balance."""
    facts = found.facts
    lines = [f"{facts['model']}; variant {facts['variant']['name']}: {facts['variant']['means']}"]
    lines += ["  ".join(["study", *(f"{time:g} h" for time in facts["times"]["values"]), "peak"])]
    for study in facts["studies"][:MOST_SHOWN]:
        cells = [f"{value:.4g}" for value in study["tumour"]["values"]]
        peak = f"{study['peak']['value']:.4g} at {study['peak']['time']:.3g} h"
        lines.append("  ".join([study["study"], *cells, peak]))
    if len(facts["studies"]) > MOST_SHOWN:
        lines.append(f"{len(facts['studies']) - MOST_SHOWN} studies more: --json has them")
    lines.append(f"tumour uptake in %ID ({facts['convention']})")
    lines.append(f"mass balance: {facts['mass_error']:.1e} of the dose unaccounted for at most")
    if "agreement" in facts:
        lines.append(
            "observed against simulated: {points} points of {studies} studies, average absolute "
            "fold error {aafe:.3f}, {share:.1f} % within two-fold, {left_out} not above zero "
            "left out".format(share=100 * facts["agreement"]["within_twofold"],
                              **facts["agreement"])
        )  # fmt: skip
    if "fit" in facts:
        from igdd.stages.pbpk_fit import text as fit_text

        lines.append(fit_text(facts["fit"]))
    if "elasticities" in facts:
        lines.append("elasticity of uptake at 24 h, the ten largest:")
        rows = [row for row in facts["elasticities"] if row["outcome"] == OUTCOMES[0]]
        lines += [f"  {row['parameter']:28} {row['elasticity']:+.3f}" for row in rows[:10]]
    return "\n".join(lines)
