"""Non-compartmental analysis of many profiles at once: areas, moments, terminal phase, clearance.

Fields carry the codes of CDISC (PKPARMCD). Rules are those of Phoenix WinNonlin, so that its tables
come out to the last printed digit:

- a profile that does not begin at time zero is given a point there: the concentration 0, or after
  a bolus C0, the line through the logarithms of the first two values carried back (the first value
  itself where these do not fall);
- areas end at the last measured concentration above zero (LST), or one triangle later (ALL), or at
  infinity, by the last concentration as observed (IFO) or as fitted (IFP) over lambda_z.

Whatever cannot be had is NaN. Times and concentrations are in any units that the caller knows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.profiles import ROUTES, Profiles, Route, close_gaps
from igdd.kernels.terminal_slope import TerminalSlope, terminal_slope
from igdd.kernels.trapezoid import segments

Rule = Literal["linear", "linear-up-log-down", "linear-log"]
RULES: tuple[Rule, ...] = ("linear", "linear-up-log-down", "linear-log")
CHUNK = 8192  # profiles at a time: their arrays stay in the cache


class Exposure(NamedTuple):
    """Parameters that need no dose, one value per profile, by CDISC code.

    C0 CMAX TMAX TLAG       initial and highest concentration; time of it; lag before the first
    CLST TLST CLSTP         last measured concentration, its time, and the fitted one
    LAMZ LAMZHL LAMZNPT     lambda_z, half-life, points in the window
    LAMZLL LAMZUL           first and last time of the window
    R2 R2ADJ CORRXY         of the terminal regression
    AUC.. AUMC..            LST to the last measured, ALL, IFO and IFP to infinity
    ..PEO ..PEP ..PBEO ..PBEP   per cent of it extrapolated, and extrapolated back
    MRTLST MRTIFO MRTIFP    mean residence time, less half the infusion
    """

    C0: np.ndarray
    CMAX: np.ndarray
    TMAX: np.ndarray
    TLAG: np.ndarray
    CLST: np.ndarray
    TLST: np.ndarray
    CLSTP: np.ndarray
    LAMZ: np.ndarray
    LAMZHL: np.ndarray
    LAMZNPT: np.ndarray
    LAMZLL: np.ndarray
    LAMZUL: np.ndarray
    R2: np.ndarray
    R2ADJ: np.ndarray
    CORRXY: np.ndarray
    AUCLST: np.ndarray
    AUCALL: np.ndarray
    AUCIFO: np.ndarray
    AUCIFP: np.ndarray
    AUCPEO: np.ndarray
    AUCPEP: np.ndarray
    AUCPBEO: np.ndarray
    AUCPBEP: np.ndarray
    AUMCLST: np.ndarray
    AUMCIFO: np.ndarray
    AUMCIFP: np.ndarray
    AUMCPEO: np.ndarray
    AUMCPEP: np.ndarray
    MRTLST: np.ndarray
    MRTIFO: np.ndarray
    MRTIFP: np.ndarray


class Disposition(NamedTuple):
    """Parameters that need the dose: over F after an extravascular dose.

    CLO CLP      clearance, dose / AUC to infinity
    VZO VZP      volume of the terminal phase, CL / lambda_z
    VSSO VSSP    volume at steady state, CL MRT; NaN after an extravascular dose
    """

    CLO: np.ndarray
    CLP: np.ndarray
    VZO: np.ndarray
    VZP: np.ndarray
    VSSO: np.ndarray
    VSSP: np.ndarray


def noncompartmental(
    times: np.ndarray,
    values: np.ndarray,
    *,
    route: Route,
    rule: Rule = "linear",
    infusion: float = 0.0,
    measured: np.ndarray | None = None,
) -> Exposure:
    """Non-compartmental parameters of each row of `values` (profile, point).

    times     after the dose, ascending: of every profile (point,) or of each (profile, point);
              points whose value is NaN do not count
    infusion  its duration, for the route of that name
    measured  points that were measured, where others hold a value put in their place; by default
              every one above zero

    >>> hours = np.array([1.0, 2.0, 4.0, 8.0])
    >>> found = noncompartmental(hours, 10 * np.exp(-0.1 * hours)[None], route="bolus",
    ...                          rule="linear-up-log-down")
    >>> found.C0.round(9), found.AUCIFO.round(9), found.MRTIFO.round(9)
    (array([10.]), array([100.]), array([10.]))
    """
    values = np.asarray(values, dtype=float)
    times = np.broadcast_to(np.asarray(times, dtype=float), values.shape)
    known = values > 0 if measured is None else measured & (values > 0)
    _check(times, values, route, rule, infusion)
    parts = [
        _analyse(times[rows], values[rows], known[rows], (route, rule, infusion))
        for rows in (slice(begin, begin + CHUNK) for begin in range(0, max(len(values), 1), CHUNK))
    ]
    return Exposure(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def disposition(exposure: Exposure, dose: np.ndarray | float, route: Route) -> Disposition:
    """Clearance and volumes of each profile; NaN where the dose is not above zero.

    >>> hours = np.array([1.0, 2.0, 4.0, 8.0])
    >>> found = noncompartmental(hours, 10 * np.exp(-0.1 * hours)[None], route="bolus",
    ...                          rule="linear-up-log-down")
    >>> [float(one[0].round(9)) for one in disposition(found, 50.0, "bolus")[::2]]
    [0.5, 5.0, 5.0]
    """
    given = np.where(np.asarray(dose, dtype=float) > 0, dose, np.nan)
    into_blood = np.nan if route == "extravascular" else 1.0
    observed, predicted = given / exposure.AUCIFO, given / exposure.AUCIFP
    return Disposition(
        CLO=observed,
        CLP=predicted,
        VZO=observed / exposure.LAMZ,
        VZP=predicted / exposure.LAMZ,
        VSSO=observed * exposure.MRTIFO * into_blood,
        VSSP=predicted * exposure.MRTIFP * into_blood,
    )


def partial_area(
    times: np.ndarray,
    values: np.ndarray,
    span: tuple[float, float],
    *,
    route: Route,
    rule: Rule = "linear",
    infusion: float = 0.0,
    measured: np.ndarray | None = None,
) -> np.ndarray:
    """Area under each profile from one time to another, its ends interpolated by the same rule.

    Beyond the last measured concentration the curve falls with lambda_z; NaN where there is none.

    >>> hours = np.array([1.0, 2.0, 4.0, 8.0])
    >>> profile = 10 * np.exp(-0.1 * hours)[None]
    >>> partial_area(hours, profile, (3.0, 20.0), route="bolus", rule="linear-log").round(6)
    array([60.548294])
    """
    values = np.asarray(values, dtype=float)
    times = np.broadcast_to(np.asarray(times, dtype=float), values.shape)
    _check(times, values, route, rule, infusion)
    if not 0 <= span[0] < span[1] < np.inf:
        raise InputError(
            f"partial area from {span[0]:g} to {span[1]:g}; expected 0 <= from < to, both finite"
        )
    known = values > 0 if measured is None else measured & (values > 0)
    found = []
    for begin in range(0, max(len(values), 1), CHUNK):
        rows = slice(begin, begin + CHUNK)
        profiles = close_gaps(times[rows], values[rows], known[rows], route)
        slope = _slope(profiles, route, infusion)
        low, high = (_area_to(profiles, rule, slope, bound) for bound in span)
        found.append(high - low)
    return np.concatenate(found)


def _check(times: np.ndarray, values: np.ndarray, route: str, rule: str, infusion: float) -> None:
    """Refuse what no profile can be: unordered or negative times, unknown routes and rules."""
    if values.ndim != 2 or not values.shape[1]:
        raise InputError(f"values of shape {values.shape}; expected (profile, point)")
    for found, known, name in ((route, ROUTES, "route"), (rule, RULES, "AUC rule")):
        if found not in known:
            raise InputError(f"{name} {found!r} is unknown; expected one of {', '.join(known)}")
    if route == "infusion" and not 0 < infusion < np.inf:
        raise InputError(f"an infusion of duration {infusion:g}; expected its time, above zero")
    if route != "infusion" and infusion:
        raise InputError(f"an infusion time of {infusion:g} for route {route!r}; expected none")
    there = np.isfinite(values)
    late = np.maximum.accumulate(np.where(there, times, -np.inf), axis=1)
    wrong = there & (~np.isfinite(times) | (times < 0))
    wrong[:, 1:] |= there[:, 1:] & (times[:, 1:] <= late[:, :-1])
    if wrong.any():
        profile, point = np.argwhere(wrong)[0]
        raise InputError(
            f"profile {profile}, point {point}: time {times[profile, point]:g}; "
            "expected times at or after the dose, each later than the one before"
        )


def _slope(profiles: Profiles, route: str, infusion: float) -> TerminalSlope:
    place = np.arange(profiles.times.shape[1])
    begin = profiles.peak + (0 if route == "bolus" else 1)
    allowed = (place >= begin[:, None]) & (profiles.times >= infusion)
    return terminal_slope(profiles.times, profiles.values, profiles.usable, allowed)


def _by_logs(profiles: Profiles, rule: str) -> np.ndarray:
    """Segments (profile, point - 1) whose curve is taken as exponential."""
    begin, end = profiles.values[:, :-1], profiles.values[:, 1:]
    if rule == "linear":
        return np.zeros(begin.shape, dtype=bool)
    if rule == "linear-up-log-down":
        return np.asarray((end < begin) & (end > 0))
    row = np.arange(len(begin))
    peak = np.where(profiles.values[:, 0] > profiles.values[row, profiles.peak], 0, profiles.peak)
    after = np.arange(begin.shape[1]) >= peak[:, None]
    return np.asarray(after & (begin > 0) & (end > 0) & (begin != end))


def _areas(profiles: Profiles, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Area and first moment from time zero to each point (profile, point)."""
    area, moment = segments(
        profiles.values[:, :-1],
        profiles.values[:, 1:],
        profiles.times[:, :-1],
        profiles.times[:, 1:],
        _by_logs(profiles, rule),
    )
    blank = np.zeros((len(area), 1))
    return (
        np.hstack([blank, np.cumsum(area, axis=1)]),
        np.hstack([blank, np.cumsum(moment, axis=1)]),
    )


def _area_to(profiles: Profiles, rule: str, slope: TerminalSlope, bound: float) -> np.ndarray:
    """Area from time zero to `bound`, beyond the last measured point by lambda_z."""
    row = np.arange(len(profiles.times))
    last = profiles.last
    area, _ = _areas(profiles, rule)
    passed = profiles.times <= bound
    place = np.minimum(passed.shape[1] - 1 - np.argmax(passed[:, ::-1], axis=1), last)
    after = np.minimum(place + 1, last)
    begin, end = profiles.values[row, place], profiles.values[row, after]
    start, stop = profiles.times[row, place], profiles.times[row, after]
    width = np.where(stop > start, stop - start, 1.0)
    part = np.clip((bound - start) / width, 0.0, 1.0) * (stop > start)
    logs = np.hstack([_by_logs(profiles, rule), np.zeros((len(row), 1), dtype=bool)])[row, place]
    ratio = np.where(logs, end / np.where(logs, begin, 1.0), 1.0)
    there = np.where(logs, begin * ratio**part, begin + part * (end - begin))
    inside, _ = segments(begin, there, start, start + part * width, logs & (part > 0))
    final, clast = profiles.times[row, last], profiles.values[row, last]
    beyond = np.maximum(bound - final, 0.0)
    tail = np.where(beyond > 0, -clast / slope.rate * np.expm1(-slope.rate * beyond), 0.0)
    return np.asarray(area[row, place] + inside + tail)


def _analyse(
    times: np.ndarray, values: np.ndarray, known: np.ndarray, how: tuple[Route, Rule, float]
) -> Exposure:
    """`noncompartmental` of one chunk."""
    route, rule, infusion = how
    profiles = close_gaps(times, values, known, route)
    slope = _slope(profiles, route, infusion)
    area, moment = _areas(profiles, rule)
    row, last = np.arange(len(values)), profiles.last
    some = last > 0
    following = np.minimum(last + 1, profiles.number)
    nothing = np.where(profiles.number > 0, 0.0, np.nan)
    tlast = np.where(some, profiles.times[row, last], np.nan)
    clast = np.where(some, profiles.values[row, last], np.nan)
    auc, aumc = area[row, last] + nothing, moment[row, last] + nothing
    # One triangle more, straight whatever the rule: its far end was not measured.
    width = profiles.times[row, following] - profiles.times[row, last]
    triangle = width * (profiles.values[row, following] + profiles.values[row, last]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        fields = _to_infinity(auc, aumc, slope, (clast, tlast), infusion / 2)
        back = 100 * area[:, 1] if route == "bolus" else np.full(len(values), np.nan)
        half_life = np.log(2) / slope.rate
    first = np.argmax(profiles.usable, axis=1)
    lag = np.where(profiles.usable.any(axis=1), profiles.times[row, first - 1], np.nan)
    peak = np.where(profiles.number > 0, profiles.values[row, profiles.peak], np.nan)
    return Exposure(
        C0=profiles.values[:, 0] + nothing if route == "bolus" else np.full(len(values), np.nan),
        CMAX=peak,
        TMAX=np.where(some, profiles.times[row, profiles.peak], np.nan),
        TLAG=lag,
        CLST=clast,
        TLST=tlast,
        CLSTP=slope.height,
        LAMZ=slope.rate,
        LAMZHL=half_life,
        LAMZNPT=slope.points,
        LAMZLL=slope.start,
        LAMZUL=np.where(np.isfinite(slope.rate), tlast, np.nan),
        R2=slope.r2,
        R2ADJ=slope.r2_adjusted,
        CORRXY=-np.sqrt(slope.r2),
        AUCLST=auc,
        AUCALL=auc + np.where(some, triangle, 0.0),
        AUCPBEO=back / fields["AUCIFO"],
        AUCPBEP=back / fields["AUCIFP"],
        AUMCLST=aumc,
        **fields,
    )


def _to_infinity(
    auc: np.ndarray,
    aumc: np.ndarray,
    slope: TerminalSlope,
    end: tuple[np.ndarray, np.ndarray],
    half_infusion: float,
) -> dict[str, np.ndarray]:
    """Everything that needs the tail: C / lambda_z of area, C (t + 1 / lambda_z) / lambda_z of
    moment, with the last concentration as observed (O) and as fitted (P)."""
    clast, tlast = end
    found = {"MRTLST": aumc / auc - half_infusion}
    for letter, height in (("O", clast), ("P", slope.height)):
        area = auc + height / slope.rate
        moment = aumc + height * (tlast + 1 / slope.rate) / slope.rate
        found[f"AUCIF{letter}"] = area
        found[f"AUCPE{letter}"] = 100 * (area - auc) / area
        found[f"AUMCIF{letter}"] = moment
        found[f"AUMCPE{letter}"] = 100 * (moment - aumc) / moment
        found[f"MRTIF{letter}"] = moment / area - half_infusion
    return found
