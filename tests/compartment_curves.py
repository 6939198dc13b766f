"""Curves that the compartment models are tested with, from the differential equations alone.

Between two instants at which nothing bends, a linear compartment model with a straight input is the
exponential of a matrix: no convolution, no sum of exponentials, no quadrature.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg import expm

from igdd.kinetics import InputCurve, Protocol
from igdd.types import Frames, Zero

PET_LENGTHS = np.repeat([5.0, 10.0, 30.0, 120.0, 300.0], [12, 6, 8, 5, 15])
DCE_LENGTHS = np.full(80, 3.0)
MINUTE = 60.0


def frames_of(lengths: np.ndarray) -> Frames:
    end = np.cumsum(lengths)
    return Frames(start=end - lengths, duration=lengths, zero=Zero(kind="administration"))


def curve_of(time, values, compartment="plasma") -> InputCurve:
    return InputCurve(
        time=time, values=values, compartment=compartment, substance="parent", unit="Bq/mL"
    )


def pet_inputs(until: float = 5700.0) -> dict[str, InputCurve]:
    """A bolus into plasma, blood that differs from it in shape, and a reference tissue's curve."""
    time = np.concatenate([np.arange(0.0, 120.0, 2.0), np.arange(120.0, until + 1.0, 60.0)])
    since = np.maximum(time - 15.0, 0.0)
    plasma = 900.0 * since * np.exp(-since / 14) + 3e3 * (1 - np.exp(-since / 30)) * (
        0.7 * np.exp(-since / 400) + 0.3 * np.exp(-since / 7000)
    )
    blood = plasma * (0.6 + 0.3 * np.exp(-since / 900))
    rise = np.array([0.0, 20, 60, 120, 240, 480, 900, 1800, 3600, until])
    reference = np.array([0.0, 200, 1500, 2300, 2600, 2500, 2100, 1400, 800, 450])
    return {
        "plasma": curve_of(time, plasma),
        "blood": curve_of(time, blood, "blood"),
        "reference": curve_of(rise, reference, "tissue"),
    }


def dce_inputs(until: float = 260.0) -> dict[str, InputCurve]:
    """A contrast agent's first pass and what follows, in mmol/L of plasma."""
    time = np.arange(0.0, until + 1.0, 1.5)
    since = np.maximum(time - 15.0, 0.0)
    first = 5 * since / 7 * np.exp(1 - since / 7)
    later = 1.1 * (1 - np.exp(-since / 12)) * np.exp(-since / 700)
    return {"plasma": curve_of(time, first + later)}


def pet(**changes) -> Protocol:
    known = {"frames": frames_of(PET_LENGTHS), "inputs": pet_inputs(), "held": {"delay": 0.0}}
    return Protocol(**(known | changes))


def dce(**changes) -> Protocol:
    known = {"frames": frames_of(DCE_LENGTHS), "inputs": dce_inputs(), "held": {"delay": 0.0}}
    return Protocol(**(known | changes))


def solved(
    rates: np.ndarray, inflow: np.ndarray, curve: InputCurve, frames: Frames, delay: float = 0.0
) -> np.ndarray:
    """Frame means (t,) of the sum of compartments x, dx/dt = rates x + inflow c(t - delay)."""
    knots, size = curve.time + delay, len(inflow)
    edges = np.concatenate([frames.start, frames.end])
    instants = np.unique(np.concatenate([[min(0.0, knots[0])], knots, edges]))
    instants = instants[instants <= edges.max()]
    # State: the compartments, the integral of their sum, the input and its slope.
    matrix = np.zeros((size + 3, size + 3))
    matrix[:size, :size] = rates
    matrix[:size, size + 1] = inflow
    matrix[size, :size] = 1.0
    matrix[size + 1, size + 2] = 1.0
    state, integral = np.zeros(size + 3), {float(instants[0]): 0.0}
    for low, high in pairwise(instants):
        inside = low >= knots[0]
        ends = np.interp([low, high], knots, curve.values) if inside else np.zeros(2)
        state[size + 1], state[size + 2] = ends[0], (ends[1] - ends[0]) / (high - low)
        state = expm(matrix * (high - low)) @ state
        integral[float(high)] = state[size]
    whole = [integral[float(end)] for end in frames.end]
    before = [integral[float(start)] for start in frames.start]
    return (np.array(whole) - np.array(before)) / frames.duration


def mean_of(curve: InputCurve, frames: Frames, delay: float = 0.0) -> np.ndarray:
    """Frame means (t,) of an input: its integral by trapezia between all that bends it."""
    means = []
    for start, end in zip(frames.start - delay, frames.end - delay, strict=True):
        between = curve.time[(curve.time > start) & (curve.time < end)]
        at = np.concatenate([[start], between, [end]])
        means.append(np.trapezoid(np.interp(at, curve.time, curve.values, left=0.0), at))
    return np.array(means) / frames.duration


def noisy(curves: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """Curves with Gaussian noise of a share of their greatest value."""
    spread = share * np.abs(curves).max(axis=1, keepdims=True)
    return curves + spread * np.random.default_rng(seed).standard_normal(curves.shape)


def bounds_of(parameters) -> np.ndarray:
    """Bounds (p, 2) in SI of declared parameters."""
    return np.array(
        [np.array(one.bounds) / (60 if one.unit.endswith("/min") else 1) for one in parameters]
    )
