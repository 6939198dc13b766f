"""Thermosensitive liposomes: from plasma to tumour cells while a tumour is heated.

Drug stands in seven places, as amounts: liposomal in plasma (L) and in the tumour's vessels (Lv),
free in plasma (P), in peripheral tissue (Q), in the tumour's vessels (V), in its interstitium (E)
and in its cells (C); what is eliminated is counted too, so that everything given is somewhere:

    dL/dt  = infusion - kL L - R(T0) L - F (cL - cLv)
    dLv/dt = F (cL - cLv) - R(T) Lv
    dP/dt  = R(T0) L - ke P - k12 P + k21 Q - F (cP - cV)
    dQ/dt  = k12 P - k21 Q
    dV/dt  = R(T) Lv + F (cP - cV) - PS (cV - cE)
    dE/dt  = PS (cV - cE) - U
    dC/dt  = U = Vmax volume (cE / (cE + Ke) - cC / (cC + Ki))

with concentrations c = amount / volume, T0 the body's and T(t) the tumour's temperature, straight
between its samples. Structure as in Gasselhuber and colleagues, Int J Hyperthermia 2012;28:499;
uptake as in El-Kareh and Secomb, Neoplasia 2000;2:325. Any one unit of amount, of volume, of time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from igdd.errors import InputError
from igdd.kernels.thermal_release import ReleaseRate

PLACES = (
    "liposomal_plasma", "liposomal_vessels", "plasma", "peripheral", "vessels", "interstitium",
    "cells", "liposomal_eliminated", "eliminated",
)  # fmt: skip
BODY = 37.0
PRECISE = 1e-10
# Deviation from a straight line, in degrees, below which a sample of the history is no corner.
STRAIGHT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Tumour:
    """A tumour with its blood supply and the body's plasma.

    plasma_volume        of the body
    volume               of the tumour; `vessels`, `interstitium`, `cells` are its shares
    flow                 of plasma through the tumour, volume per time
    PS                   permeability times surface of its vessels for the free drug, likewise
    liposomal_clearance  rate kL at which the body removes liposomes, per time
    clearance            rate ke at which it removes free drug from plasma
    k12, k21             exchange of free drug with peripheral tissue
    Vmax                 greatest uptake into cells, amount per volume of tumour and time
    Ke, Ki               half-saturation outside and inside, amount per volume
    """

    plasma_volume: float
    volume: float
    vessels: float
    interstitium: float
    cells: float
    flow: float
    PS: float
    liposomal_clearance: float
    clearance: float
    k12: float = 0.0
    k21: float = 0.0
    Vmax: float = 0.0
    Ke: float = 1.0
    Ki: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            positive = name in ("plasma_volume", "volume", "vessels", "interstitium", "cells",
                                "Ke", "Ki")  # fmt: skip
            if not (np.isfinite(value) and (value > 0 if positive else value >= 0)):
                raise InputError(
                    f"tumour: {name} is {value:g}; expected a number "
                    f"{'above' if positive else 'of at least'} 0"
                )
        whole = self.vessels + self.interstitium + self.cells
        if whole > 1 + 1e-9:
            raise InputError(f"tumour: its shares of volume sum to {whole:g}; expected at most 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Heating:
    """A dose and a tumour's temperature over time.

    dose, duration     amount given from time 0 on over `duration`; 0: at once
    time, temperature  (h,) of the tumour in degrees C; before and after, the first and the last
    """

    dose: float
    duration: float
    time: np.ndarray
    temperature: np.ndarray

    def __post_init__(self) -> None:
        if not (self.dose > 0 and self.duration >= 0 and np.isfinite(self.dose + self.duration)):
            raise InputError(
                f"dose {self.dose:g} over {self.duration:g}; expected an amount above 0 over a "
                "time of at least 0"
            )
        same = np.shape(self.time) == np.shape(self.temperature)
        if not same or np.size(self.time) < 1 or not (np.diff(self.time) > 0).all():
            raise InputError(
                f"a temperature history of {np.size(self.temperature)} values at "
                f"{np.size(self.time)} times; expected as many, at ascending times"
            )
        if not np.isfinite(self.temperature).all():
            raise InputError("a temperature of the history is not finite; expected degrees C")


def course(tumour: Tumour, heating: Heating, rate: ReleaseRate, times: np.ndarray) -> np.ndarray:
    """Amounts (t, 9) in `PLACES` at ascending times of at least 0.

    Solved between the corners of the temperature history by a method that switches to a stiff one
    where that is faster (LSODA); the parts of what was given add up to it at every time.
    """
    from scipy.integrate import solve_ivp

    times = np.asarray(times, dtype=float)
    if times.ndim != 1 or not times.size or times[0] < 0 or not (np.diff(times) >= 0).all():
        raise InputError("times of the course; expected ascending ones of at least 0")
    state = np.zeros(len(PLACES))
    infusing = heating.duration > 0
    state[0] = 0.0 if infusing else heating.dose
    found = np.zeros((times.size, len(PLACES)))
    found[times == 0] = state
    corners = _corners(heating, float(times[-1]))
    slopes = _Slopes(tumour, heating, rate)
    for start, stop in pairwise(corners):
        inside = (times > start) & (times <= stop)
        ends = np.unique(np.append(times[inside], stop))
        solved = solve_ivp(
            slopes.within(start, stop), (start, stop), state, method="LSODA", t_eval=ends,
            rtol=PRECISE, atol=PRECISE * heating.dose,
        )  # fmt: skip
        if not solved.success:
            raise InputError(
                f"the course could not be followed beyond {solved.t[-1]:g} ({solved.message}); "
                "expected rates and volumes within a few powers of ten of one another"
            )
        found[inside] = solved.y.T[np.searchsorted(ends, times[inside])]
        state = solved.y[:, -1]
    return found


def balance(heating: Heating, times: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """What of the dose given by each time is in no place, as a share of the dose (t,)."""
    given = np.full(np.shape(times), heating.dose)
    if heating.duration > 0:
        given = heating.dose * np.clip(np.asarray(times) / heating.duration, 0.0, 1.0)
    return np.asarray((given - amounts.sum(axis=1)) / heating.dose)


def _corners(heating: Heating, end: float) -> np.ndarray:
    """Times at which something bends: the infusion's end, and corners of the temperature."""
    time, temperature = heating.time, heating.temperature
    bends = np.ones(time.size, dtype=bool)
    if time.size > 2:
        share = (time[1:-1] - time[:-2]) / (time[2:] - time[:-2])
        line = temperature[:-2] + share * (temperature[2:] - temperature[:-2])
        bends[1:-1] = np.abs(temperature[1:-1] - line) > STRAIGHT
    every = np.concatenate([[0.0, heating.duration, end], time[bends]])
    return np.unique(every[(every >= 0) & (every <= end)])


class _Slopes:
    """The right-hand sides, one for each stretch without a corner."""

    def __init__(self, tumour: Tumour, heating: Heating, rate: ReleaseRate) -> None:
        self.tumour, self.heating, self.rate = tumour, heating, rate
        self.at_body = float(rate.at(np.array(BODY)))
        self.volumes = tumour.volume * np.array([tumour.vessels, tumour.interstitium, tumour.cells])

    def within(self, start: float, stop: float) -> Callable[[float, np.ndarray], np.ndarray]:
        """Derivative (9,) of the amounts between two corners."""
        one, heating = self.tumour, self.heating
        infusion = heating.dose / heating.duration if heating.duration > start else 0.0
        ends = np.interp([start, stop], heating.time, heating.temperature)
        steady = float(self.rate.at(ends[:1])[0]) if ends[0] == ends[1] else None
        slope = (ends[1] - ends[0]) / (stop - start)
        vessels, interstitium, cells = self.volumes

        def derivative(time: float, amounts: np.ndarray) -> np.ndarray:
            L, Lv, P, Q, V, E, C = amounts[:7]
            hot = steady
            if hot is None:
                # a solver may look beyond the corner, where the history goes elsewhere
                warmed = np.clip(ends[0] + slope * (time - start), ends.min(), ends.max())
                hot = float(self.rate.at(warmed))
            flow_L = one.flow * (L / one.plasma_volume - Lv / vessels)
            flow = one.flow * (P / one.plasma_volume - V / vessels)
            leaves, warm = one.liposomal_clearance * L, self.at_body * L
            heated, out = hot * Lv, one.clearance * P
            aside = one.k12 * P - one.k21 * Q
            across = one.PS * (V / vessels - E / interstitium)
            outside, inside = E / interstitium, C / cells
            uptake = (
                one.Vmax * one.volume * (outside / (outside + one.Ke) - inside / (inside + one.Ki))
            )
            return np.array([
                infusion - leaves - warm - flow_L, flow_L - heated,
                warm - out - aside - flow, aside,
                heated + flow - across, across - uptake, uptake, leaves, out,
            ])  # fmt: skip

        return derivative
