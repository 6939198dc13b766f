"""Noisy curves with an analytic truth, for the speed of kinetics: single voxels, and a whole body.

The PET input is that of Feng (Int J Biomed Comput 1993;32:95), a sum of exponentials; its
convolutions and their means over frames are written out here, apart from the package's own kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from igdd.io import bids
from igdd.kinetics import InputCurve
from igdd.types import Frames, Grid, Zero

# Feng's input 2 in kBq/mL and 1/s: A1 [1/s], A2, A3, and the three rates; it begins at 12 s.
FENG = (851.1 / 60 * 37, 21.88 * 37, 20.81 * 37, 4.134 / 60, 0.1191 / 60, 0.01043 / 60)
ARRIVAL = 12.0
BLOOD_TO_PLASMA = 0.9

# 60 frames in 60 minutes.
DURATIONS = np.repeat([5.0, 10.0, 30.0, 60.0, 120.0, 180.0], [12, 12, 10, 10, 8, 8])
BODY = (256, 128, 128)
DIFFERENT = 20480  # tissues in the body; every voxel has noise of its own


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """Curves (n, t) of a model with its inputs and frames; `truth` parameter -> (n,) in SI."""

    model: str
    curves: np.ndarray
    frames: Frames
    inputs: Mapping[str, InputCurve]
    truth: Mapping[str, np.ndarray]
    unit: str


def frames_of(durations: np.ndarray) -> Frames:
    """Frames in a row from the administration on."""
    end = np.cumsum(durations)
    return Frames(start=end - durations, duration=durations, zero=Zero(kind="administration"))


def irreversible_case(count: int, noise: float, seed: int = 1) -> Case:
    """Irreversible two-tissue curves with blood and delay."""
    rng = np.random.default_rng(seed)
    K1, k2, k3 = (
        rng.uniform(*span, count) / 60 for span in ((0.05, 0.8), (0.1, 0.9), (0.01, 0.15))
    )
    Vb, delay = rng.uniform(0.02, 0.12, count), rng.uniform(0.0, 20.0, count)
    share = k3 / (k2 + k3)
    coefficients = np.stack([K1 * share, K1 * (1 - share)], axis=1)
    rates = np.stack([np.zeros(count), k2 + k3], axis=1)
    truth = {"K1": K1, "k2": k2, "k3": k3, "Vb": Vb, "delay": delay, "Ki": K1 * share}
    return _pet("two_tissue_irreversible", coefficients, rates, truth, noise, rng)


def reversible_case(count: int, noise: float, seed: int = 2) -> Case:
    """Reversible two-tissue curves with blood, no delay."""
    rng = np.random.default_rng(seed)
    spans = ((0.05, 0.8), (0.1, 0.6), (0.03, 0.15), (0.02, 0.06))
    K1, k2, k3, k4 = (rng.uniform(*span, count) / 60 for span in spans)
    Vb, delay = rng.uniform(0.02, 0.12, count), np.zeros(count)
    total = k2 + k3 + k4
    root = np.sqrt(total**2 - 4 * k2 * k4)
    rates = np.stack([(total - root) / 2, (total + root) / 2], axis=1)
    left, right = k3 + k4 - rates[:, 0], rates[:, 1] - k3 - k4
    coefficients = (K1 / root)[:, None] * np.stack([left, right], axis=1)
    truth = {"K1": K1, "k2": k2, "k3": k3, "k4": k4, "Vb": Vb, "VT": K1 / k2 * (1 + k3 / k4)}
    return _pet("two_tissue", coefficients, rates, truth | {"delay": delay}, noise, rng)


def _pet(
    model: str,
    coefficients: np.ndarray,
    rates: np.ndarray,
    truth: dict[str, np.ndarray],
    noise: float,
    rng: np.random.Generator,
) -> Case:
    frames = frames_of(DURATIONS)
    Vb = truth["Vb"][:, None]
    tissue = sum(
        coefficients[:, one, None] * feng_mean(frames, rates[:, one], truth["delay"])
        for one in range(2)
    )
    blood = BLOOD_TO_PLASMA * feng_mean(frames, None, truth["delay"])
    clean = (1 - Vb) * tissue + Vb * blood
    curves = clean + noise_sd(clean, frames, noise) * rng.standard_normal(clean.shape)
    time, values = feng_samples(float(frames.end[-1]) + 60)
    curve = {"time": time, "substance": "parent", "unit": "kBq/mL", "source": "Feng's input"}
    return Case(
        model=model,
        curves=curves,
        frames=frames,
        inputs={
            "plasma": InputCurve(values=values, compartment="plasma", **curve),
            "blood": InputCurve(values=BLOOD_TO_PLASMA * values, compartment="blood", **curve),
        },
        truth=truth,
        unit="kBq/mL",
    )


def noise_sd(clean: np.ndarray, frames: Frames, noise: float) -> np.ndarray:
    """Standard deviations as counting leaves them; `noise` of the value in the last frame."""
    counted = np.sqrt(np.maximum(clean, 1e-3 * clean.max()) / frames.duration)
    return noise * clean[:, -1:] * counted / counted[:, -1:]


def feng_samples(until: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples dense enough that straight lines between them follow the input to 1e-4."""
    time = np.concatenate(
        [[0.0], ARRIVAL + np.r_[0:30:0.25, 30:120:0.5, 120:600:5, 600:until:30], [until + ARRIVAL]]
    )
    return time, _feng(time)


def _feng(time: np.ndarray) -> np.ndarray:
    A1, A2, A3, l1, l2, l3 = FENG
    t = np.maximum(time - ARRIVAL, 0.0)
    return (A1 * t - A2 - A3) * np.exp(-l1 * t) + A2 * np.exp(-l2 * t) + A3 * np.exp(-l3 * t)


def feng_mean(frames: Frames, rate: np.ndarray | None, delay: np.ndarray) -> np.ndarray:
    """Frame means (n, t) of the input (x) exp(-rate t), or of the input itself; delays (n,)."""
    edges = [
        np.maximum(edge - ARRIVAL - delay[:, None], 0.0) for edge in (frames.start, frames.end)
    ]
    below, above = (_feng_area(edge, rate) for edge in edges)
    return (above - below) / frames.duration


def _feng_area(t: np.ndarray, rate: np.ndarray | None) -> np.ndarray:
    """Integral from 0 to t of Feng's input, or of it convolved with exp(-rate t)."""
    A1, A2, A3, l1, l2, l3 = FENG
    terms = ((-A2 - A3, l1), (A2, l2), (A3, l3))
    if rate is None:
        whole = sum(amount * _decayed(t, rapid) for amount, rapid in terms)
        return whole + A1 * _ramped(t, l1)
    k = rate[:, None]
    whole = sum(
        amount / (k - rapid) * (_decayed(t, rapid) - _decayed(t, k)) for amount, rapid in terms
    )
    apart = k - l1
    return whole + A1 * (_ramped(t, l1) / apart - (_decayed(t, l1) - _decayed(t, k)) / apart**2)


def _decayed(t: np.ndarray, rate: np.ndarray | float) -> np.ndarray:
    """Integral of exp(-rate t)."""
    safe = np.where(np.asarray(rate) == 0, 1.0, rate)
    return np.where(np.asarray(rate) == 0, t, -np.expm1(-safe * t) / safe)


def _ramped(t: np.ndarray, rate: float) -> np.ndarray:
    """Integral of t exp(-rate t)."""
    return (1 - np.exp(-rate * t) * (1 + rate * t)) / rate**2


def contrast_case(count: int, noise: float, seed: int = 3) -> Case:
    """Extended Tofts curves of a contrast agent, 150 images of 2 s, Parker's input."""
    from igdd.kernels.convolve import convolve, sample
    from igdd.stages.inputs import population_input

    rng = np.random.default_rng(seed)
    frames = frames_of(np.full(150, 2.0))
    plasma = population_input("parker", 310.0, delay=10.0, haematocrit=0.42)["plasma"]
    Ktrans, ve = rng.uniform(0.02, 0.5, count) / 60, rng.uniform(0.1, 0.5, count)
    vp = rng.uniform(0.005, 0.1, count)
    window = (frames.start, frames.end, "exact")
    clean = Ktrans[:, None] * convolve(plasma.time, plasma.values, window, Ktrans / ve)
    clean = clean + vp[:, None] * sample(plasma.time, plasma.values, window)
    curves = clean + noise * clean.max(axis=1, keepdims=True) * rng.standard_normal(clean.shape)
    return Case(
        model="extended_tofts",
        curves=curves,
        frames=frames,
        inputs={"plasma": plasma},
        truth={"Ktrans": Ktrans, "ve": ve, "vp": vp},
        unit=plasma.unit,
    )


def body_image(path: Path, noise: float, shape: tuple[int, int, int] = BODY) -> Case:
    """A body of irreversible tissues, written frame after frame with its sidecar; the tissues."""
    case = irreversible_case(DIFFERENT, 0.0)
    rng = np.random.default_rng(7)
    grid = Grid(shape=shape, affine=np.diag([2.5, 2.5, 2.5, 1.0]))
    sd = noise_sd(case.curves, case.frames, noise).T.astype(np.float32)
    clean = case.curves.T.astype(np.float32)
    times = -(-grid.size // DIFFERENT)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        bids.start_volume(stream, (*shape, case.frames.start.size), grid, np.dtype("<f4"))
        for frame in range(case.frames.start.size):
            values = rng.standard_normal(grid.size, dtype=np.float32)
            values *= np.tile(sd[frame], times)[: grid.size]
            values += np.tile(clean[frame], times)[: grid.size]
            stream.write(values.data)
    bids.write_json(
        path.with_name(path.name.replace(".nii", ".json")),
        {
            "Units": case.unit,
            "TimeZero": "10:00:00",
            "InjectionStart": 0,
            "FrameTimesStart": case.frames.start,
            "FrameDuration": case.frames.duration,
        },
    )
    return case
