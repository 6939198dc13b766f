"""Frames, inputs and protocols that the tests of the PET models share."""

import numpy as np

from igdd.kinetics import InputCurve, Protocol
from igdd.types import Frames, Zero

MINUTE = 60.0
# Twelve frames of 10 s, then longer and longer ones: 90 min, as brain scans have them.
DURATIONS = np.array([10.0] * 12 + [30.0] * 6 + [60.0] * 5 + [150.0] * 4 + [300.0] * 14)


def frames(durations=DURATIONS, start=0.0):
    durations = np.asarray(durations, dtype=float)
    begin = start + np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    return Frames(start=begin, duration=durations, zero=Zero(kind="scan_start"))


def even(length, whole=5400.0):
    return frames(np.full(round(whole / length), length))


def bolus(compartment="plasma", substance="parent", scale=1.0):
    """A bolus and its tail, straight between knots that are dense where it bends."""
    time = np.unique(np.concatenate([np.arange(0.0, 300.0, 3.0), np.arange(300.0, 6000.0, 60.0)]))
    minutes = np.maximum(time - 20.0, 0.0) / MINUTE
    values = 800 * minutes * np.exp(-4 * minutes) + 25 * (1 - np.exp(-3 * minutes)) * (
        0.7 * np.exp(-0.12 * minutes) + 0.3 * np.exp(-0.01 * minutes)
    )
    return InputCurve(
        time=time,
        values=scale * values,
        compartment=compartment,
        substance=substance,
        unit="kBq/mL",
    )


def reference(length=2.0, R=0.12, k=0.15):
    """A reference tissue of one compartment under the bolus, knots every `length` s."""
    from igdd.kernels.convolve import convolve

    time = np.arange(0.0, 5700.0 + length, length)
    window = time - 0.5, time + 0.5, "instant"
    plasma = bolus()
    values = convolve(plasma.time, plasma.values, window, np.array([k / MINUTE]))[0]
    return InputCurve(
        time=time,
        values=R / MINUTE * values,
        compartment="tissue",
        substance="total",
        unit="kBq/mL",
    )


def protocol(of=None, inputs=None, integration="exact", held=None, **options):
    return Protocol(
        frames=frames() if of is None else of,
        inputs={"plasma": bolus()} if inputs is None else inputs,
        integration=integration,
        held={} if held is None else held,
        options=options,
    )


def against_reference(of=None, integration="exact", held=None, **options):
    return protocol(of, {"reference": reference()}, integration, held, **options)
