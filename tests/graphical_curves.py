"""Curves that Patlak, Logan and MA1 are tested with: an input in closed form and ideal tissues."""

from __future__ import annotations

import numpy as np

from igdd.kernels.convolve import convolve
from igdd.kinetics import InputCurve, Protocol
from igdd.types import Frames, Zero

DURATIONS = np.repeat([10.0, 30.0, 60.0, 120.0, 300.0], [12, 6, 5, 5, 14])


def frames_of(durations=DURATIONS, start: float = 0.0) -> Frames:
    end = start + np.cumsum(durations)
    return Frames(start=end - durations, duration=durations, zero=Zero(kind="administration"))


def input_of(until: float = 6000.0, compartment: str = "plasma", scale: float = 1.0) -> InputCurve:
    """A bolus: t exp(-t / 25 s), and two slow exponentials that rise with it."""
    time = np.concatenate([np.arange(0.0, 120.0, 1.0), np.arange(120.0, until + 1.0, 20.0)])
    slow = 8e3 * np.exp(-time / 300) + 4e3 * np.exp(-time / 9000)
    values = 2e3 * time * np.exp(-time / 25) + (1 - np.exp(-time / 20)) * slow
    return InputCurve(
        time=time,
        values=scale * values,
        compartment=compartment,
        substance="parent",
        unit="Bq/mL",
        source="a test",
    )


def protocol_of(frames=None, inputs=None, held=None, integration="exact", **options) -> Protocol:
    return Protocol(
        frames=frames_of() if frames is None else frames,
        inputs={"plasma": input_of()} if inputs is None else inputs,
        integration=integration,
        held={"Vb": 0.0} if held is None else held,
        options=options,
    )


def one_tissue(protocol: Protocol, VT: np.ndarray, k2: np.ndarray) -> np.ndarray:
    """One-tissue curves (n, t) with VT and k2 [1/s]."""
    plasma = protocol.inputs["plasma"]
    window = (protocol.frames.start, protocol.frames.end, "exact")
    return (VT * k2)[:, None] * convolve(plasma.time, plasma.values, window, k2)
