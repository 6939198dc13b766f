"""Dynamic contrast MR: from the signal of a spoiled gradient echo to the agent's concentration.

The signal at repetition time TR and flip angle a is inverted against its own baseline S0, the mean
of the frames before the agent came, where R10 = 1 / T1 is known (`igdd.kernels.concentration`):

    R1 = R1(S / S0; R10, TR, a),   C = (R1 - R10) / r1

Nobody but the user knows T1, the relaxivity r1 and which frames are the baseline: all three are
stated, none has a default. C is of the agent in the whole volume of a tissue or of blood: the
haematocrit is the input's. A signal that no T1 gives has no concentration, and is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.headers import quiet
from igdd.kernels import concentration as kernel
from igdd.modalities._dynamic import frames_of, overridden
from igdd.modalities._spoiled_echo import Echo, baseline_frames, check_pace, echo
from igdd.types import Image, Series

# T1 in s that tissues and fluids have (water 4, beside iron 0.01); beyond it the unit is wrong, or
# the voxel holds noise.
T1 = (1e-3, 20.0)
# Shares of the nominal flip angle that a transmit field reaches; one in per cent is none of them.
B1 = (0.1, 3.0)


class Doubt(IntFlag):
    """Why a voxel or region has no concentration in some frames, or in none, as bits."""

    SIGNAL_MISSING = 1
    BASELINE_NOT_POSITIVE = 2
    T1_NOT_USABLE = 4
    SIGNAL_BEYOND_EQUATION = 8
    B1_NOT_USABLE = 16

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of its bits in `igdd.flags.FLAGS`.

        >>> (Doubt.T1_NOT_USABLE | Doubt.SIGNAL_MISSING).flags
        ('signal_missing', 't1_not_usable')
        """
        names = ("signal_missing", "baseline_not_positive", "t1_not_usable",
                 "signal_beyond_equation", "b1_not_usable")  # fmt: skip
        return tuple(name for name, bit in zip(names, Doubt, strict=True) if bit in self)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How signals are read: the echo, the baseline's first frame and the one after its last, both
    from 0, and the relaxivity in mL/(mol.s)."""

    echo: Echo
    baseline: tuple[int, int]
    relaxivity: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.relaxivity) and self.relaxivity > 0):
            raise InputError(f"the relaxivity is {self.relaxivity:g}; expected more than 0")

    @property
    def frames(self) -> slice:
        """Frames of the baseline."""
        return slice(*self.baseline)


def usable_t1(t1: np.ndarray | float) -> np.ndarray:
    """T1 in s, NaN where it is none that a tissue has.

    >>> usable_t1(np.array([1.4, 0.0, 1400.0]))
    array([1.4, nan, nan])
    """
    t1 = np.asarray(t1, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.where((t1 >= T1[0]) & (t1 <= T1[1]), t1, np.nan)


def usable_b1(b1: np.ndarray | float) -> np.ndarray:
    """Share of the nominal flip angle, NaN where it is none that a transmit field reaches.

    >>> usable_b1(np.array([0.9, 0.0, 90.0]))
    array([0.9, nan, nan])
    """
    b1 = np.asarray(b1, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.where((b1 >= B1[0]) & (b1 <= B1[1]), b1, np.nan)


def stated_t1(t1: float, where: str) -> float:
    """A T1 in s that holds for many voxels; one that no tissue has is refused."""
    if not T1[0] <= t1 <= T1[1]:
        raise InputError(
            f"{where}: T1 is {t1:g} s; expected from {T1[0]:g} to {T1[1]:g} s; is its unit right?"
        )
    return float(t1)


def concentrations(
    signal: np.ndarray, t1: np.ndarray | float, reading: Reading, b1: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Concentration (t, ...) in mol/mL of signals (t, ...), and bits (...) of `Doubt`.

    t1  in s before contrast, of all or of each (...)
    b1  share of the nominal flip angle that was reached, likewise

    A frame whose signal is none of the equation is NaN; the others stay.
    """
    made = reading.echo
    signal = np.asarray(signal, dtype=float)
    with np.errstate(all="ignore"):
        baseline = signal[reading.frames].mean(axis=0)
        rate, share = 1 / usable_t1(t1), usable_b1(b1)
        found, _ = kernel.concentration(
            signal, baseline, rate, share * made.radians, made.repetition,
            relaxivity=reading.relaxivity,
        )  # fmt: skip
    known = np.isfinite(signal)
    flat = ~(np.isfinite(baseline) & (baseline > 0))
    solved = np.isfinite(rate) & np.isfinite(share)
    beyond = (known & ~np.isfinite(found)).any(axis=0) & ~flat & solved
    doubts = np.zeros(signal.shape[1:], dtype=np.uint8)
    for bit, where in (
        (Doubt.SIGNAL_MISSING, ~known.all(axis=0)),
        (Doubt.BASELINE_NOT_POSITIVE, flat),
        (Doubt.T1_NOT_USABLE, ~np.isfinite(rate)),
        (Doubt.SIGNAL_BEYOND_EQUATION, beyond),
        (Doubt.B1_NOT_USABLE, ~np.isfinite(share)),
    ):
        doubts[np.broadcast_to(where, doubts.shape)] |= int(bit)
    return np.where(np.isfinite(found), found, np.nan), doubts


def noise_variance(
    signal: np.ndarray,
    found: np.ndarray,
    t1: np.ndarray | float,
    reading: Reading,
    b1: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Variance (t, ...) of concentrations `found`, as the scatter of the baseline's signal leaves.

    The signal's noise is one for all frames; the slope of C over S is each frame's own, and the
    baseline's mean has its share. NaN from a baseline of one frame: nothing is known of the noise.
    """
    made, count = reading.echo, reading.baseline[1] - reading.baseline[0]
    if count < 2:
        return np.full(found.shape, np.nan)
    signal = np.asarray(signal, dtype=float)
    rest = signal[reading.frames]
    with np.errstate(all="ignore"):
        rate = 1 / usable_t1(t1) + reading.relaxivity * found
        flip = usable_b1(b1) * made.radians
        slope = kernel.rate_slope(signal, rate, flip, made.repetition) / reading.relaxivity
        # R10 / S0 moves with the baseline's mean; a frame of the baseline moves the mean itself.
        shared = (signal / rest.mean(axis=0)) ** 2 / count
        shared[reading.frames] = -1 / count
        return np.asarray(slope**2 * rest.var(axis=0, ddof=1) * (1 + shared))


def sentence(reading: Reading, t1: str) -> str:
    """How concentrations were made, in words for a methods section; `t1` says whose T1 was used."""
    made, (first, stop) = reading.echo, reading.baseline
    return (
        "MR: concentration of contrast agent from the signal of a spoiled gradient echo "
        f"(TR {1000 * made.repetition:g} ms, flip angle {made.flip:g} degrees), T1 before contrast "
        f"{t1}, r1 {reading.relaxivity / 1e6:g} L/(mmol.s), baseline the mean of frames "
        f"{first + 1} to {stop}; decay by T2* is not corrected."
    )


def calibrate(
    series: Series, subject: Subject, agent: Agent, scanner: Scanner, declared: Declared
) -> Image:
    """Concentration of the contrast agent in mol/mL; NaN where the signal has none.

    Where the scanner's noise correlation is declared, the scatter of the baseline's frames gives
    the variance; without it, a sum over voxels would take neighbours for independent.
    """
    where = series.source or "the series"
    with quiet() as warned:
        made = echo(
            series.sidecar, series.headers, where, declared.repetition_time, declared.flip_angle
        )
        frames = frames_of(series, subject, declared, declared.interval)
        count = frames.start.size
        replaced = overridden(series.sidecar, series.headers, count, declared.interval)
    check_pace(made, frames, where)
    t1, relaxivity, stated = _stated(declared, series)
    b1 = np.broadcast_to(1.0 if declared.b1 is None else declared.b1, t1.shape)
    before = baseline_frames(stated, frames, where)
    reading = Reading(echo=made, baseline=before, relaxivity=relaxivity)
    values = np.empty(series.values.shape, np.float32)
    noisy = scanner.noise_correlation is not None and before[1] - before[0] > 1
    variance = np.empty_like(values) if noisy else None
    doubts = 0
    for k in range(series.grid.shape[2]):
        signal, t1_here = np.moveaxis(series.values[:, :, k], -1, 0), t1[:, :, k]
        found, bits = concentrations(signal, t1_here, reading, b1[:, :, k])
        values[:, :, k] = np.moveaxis(found, 0, -1)
        doubts |= int(np.bitwise_or.reduce(bits, axis=None))
        if variance is not None:
            noise = noise_variance(signal, found, t1_here, reading, b1[:, :, k])
            variance[:, :, k] = np.moveaxis(noise, 0, -1)
    flags = {*series.flags, *made.flags, *replaced, *Doubt(doubts).flags}
    single = not isinstance(declared.t1, np.ndarray)
    words = f"{1000 * t1[0, 0, 0]:g} ms" if single else "of each voxel by its map"
    words += "" if declared.b1 is None else ", the angle's share by a B1 map"
    return Image(
        values=values,
        grid=series.grid,
        quantity="amount_concentration",
        unit="mol/mL",
        analyte="contrast",
        frames=frames,
        variance=variance,
        noise_correlation=scanner.noise_correlation or 0.0,
        source=sentence(reading, words),
        flags=tuple(sorted(flags | ({"header_warning"} if warned else set()))),
    )


def _stated(declared: Declared, series: Series) -> tuple[np.ndarray, float, str]:
    """T1 of each voxel (i, j, k), relaxivity and baseline, which only the study can state."""
    where, shape = series.source or "the series", series.grid.shape
    t1, relaxivity, baseline = declared.t1, declared.relaxivity, declared.baseline
    if t1 is None or relaxivity is None or baseline is None:
        raise InputError(
            f"{where}: t1, relaxivity or baseline is not stated; expected all three among what the "
            "study declares of the scan, such as t1 = '1400 ms', relaxivity = '3.7 L/mmol/s', "
            "baseline = '5'"
        )
    if isinstance(t1, float | int):
        return np.broadcast_to(stated_t1(t1, where), shape), relaxivity, baseline
    if t1.shape != shape:
        raise InputError(f"{where}: its T1 has shape {t1.shape}; expected the series' {shape}")
    return t1, relaxivity, baseline


MODALITIES = (
    Modality(
        name="mr_dce",
        calibrate=calibrate,
        help="dynamic contrast MR: concentration from signals of a spoiled gradient echo",
        reference="CAPLEX M.SM2.002, doi:10.1002/mrm.29840",
    ),
)
