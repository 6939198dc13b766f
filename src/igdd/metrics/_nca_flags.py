"""Cautions on non-compartmental parameters: which profile earns which, and on which parameters.

Thresholds of the terminal phase are those commonly asked for: adjusted R2 of 0.8, a window of two
half-lives, at most 20 % of the area beyond the last sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from igdd.kernels.terminal_slope import FEWEST

LEAST_R2 = 0.8
LEAST_SPAN = 2.0  # half-lives
MOST_BEYOND = 20.0  # per cent

FROM_SLOPE = frozenset(
    {"LAMZ", "LAMZHL", "LAMZNPT", "LAMZLL", "LAMZUL", "R2", "R2ADJ", "CORRXY", "CLSTP"}
)
OBSERVED = frozenset(
    {"AUCIFO", "AUCIFOD", "AUCPEO", "AUCPBEO", "AUMCIFO", "AUMCPEO", "MRTIFO", "CLO", "VZO",
     "VSSO"}
)  # fmt: skip
PREDICTED = frozenset(
    {"AUCIFP", "AUCIFPD", "AUCPEP", "AUCPBEP", "AUMCIFP", "AUMCPEP", "MRTIFP", "CLP", "VZP",
     "VSSP"}
)  # fmt: skip
FROM_DOSE = frozenset({"CMAXD", "AUCIFOD", "AUCIFPD", "CLO", "CLP", "VZO", "VZP", "VSSO", "VSSP"})
FROM_PEAK = frozenset({"CMAX", "CMAXD", "TMAX"})
FROM_START = frozenset({"C0", "AUCLST", "AUCALL"})


def flags_of(
    codes: Iterable[str],
    found: Mapping[str, float],
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    route: str,
    dose: float,
) -> dict[str, list[str]]:
    """Flags of each code of one profile.

    found   its parameters by code
    points  its times, values and which of them were measured, NaN where there is none
    dose    NaN where none was given
    """
    times, values, measured = points
    there = np.isfinite(values)
    times, values, measured = times[there], values[there], measured[there]
    whole = set()
    if not measured.any():
        whole.add("nothing_measured")
    if (values < 0).any():
        whole.add("negative_concentration")
    flags = {code: set(whole) for code in codes}

    def add(flag: str, where: frozenset[str]) -> None:
        for code in where & flags.keys():
            flags[code].add(flag)

    for flag in _tail(found, times, values, measured, route):
        add(flag, FROM_SLOPE | OBSERVED | PREDICTED)
    for codes_, share in ((OBSERVED, "AUCPEO"), (PREDICTED, "AUCPEP")):
        if found[share] > MOST_BEYOND:
            add("extrapolated_over_fifth", codes_)
    if not dose > 0:
        add("dose_zero" if dose == 0 else "dose_unknown", FROM_DOSE)
    if route == "bolus":
        for flag in _start(found, times, values):
            add(flag, FROM_START | OBSERVED | PREDICTED)
    elif measured.any() and not np.isnan(found["TMAX"]):
        inside = times[measured]
        if found["TMAX"] == inside[0]:
            add("peak_at_first_sample", FROM_PEAK)
        if found["TMAX"] == inside[-1] and inside.size > 1:
            add("peak_at_last_sample", FROM_PEAK)
    return {code: sorted(names) for code, names in flags.items()}


def _tail(
    found: Mapping[str, float],
    times: np.ndarray,
    values: np.ndarray,
    measured: np.ndarray,
    route: str,
) -> list[str]:
    """What is to be said of the terminal phase."""
    if not np.isfinite(found["LAMZ"]):
        after = measured & (times >= found["TMAX"] if route == "bolus" else times > found["TMAX"])
        rises = values[measured][-1] > values[measured][-2] if measured.sum() > 1 else False
        if rises or after.sum() >= FEWEST:
            return ["rising_tail"]
        return ["terminal_points_few"]
    flags = []
    if found["R2ADJ"] < LEAST_R2:
        flags.append("terminal_fit_poor")
    if found["LAMZUL"] - found["LAMZLL"] < LEAST_SPAN * found["LAMZHL"]:
        flags.append("terminal_span_short")
    return flags


def _start(found: Mapping[str, float], times: np.ndarray, values: np.ndarray) -> list[str]:
    """What is to be said of the concentration at time zero after a bolus."""
    if not times.size:
        return []
    if times[0] == 0:
        return [] if values[0] > 0 else ["bolus_from_zero"]
    flags = []
    if times.size < 2 or not values[0] > values[1] > 0:
        flags.append("initial_not_falling")
    if max(found["AUCPBEO"], found["AUCPBEP"]) > MOST_BEYOND:
        flags.append("back_extrapolated_over_fifth")
    return flags
