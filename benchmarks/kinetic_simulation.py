"""How far compartment fits lie from the truth: bias, coverage and flags over thousands of curves.

The truth is no part of igdd: the compartments' differential equations are solved by Runge and
Kutta's fourth-order rule on a fine grid under an analytic input, and averaged over the frames.
Prints one line for each model and level of noise.

    python benchmarks/kinetic_simulation.py [--curves 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from igdd.kinetics import Fit, InputCurve
from igdd.stages.fit import fit
from igdd.types import Curves, Frames, Zero

MINUTE = 60.0
CARBON_11 = np.log(2) / 1221.8  # 1/s
HAEMATOCRIT = 0.4
# Two-sided 95 % of Student's t is what an interval from n - k residuals has to be made with.
LEVEL = 0.975
NOISE = (0.01, 0.03, 0.06)


@dataclass(frozen=True)
class Case:
    """A model, the ranges (log-uniform) of its parameters in display units, and what is judged."""

    model: str
    ranges: dict[str, tuple[float, float]]
    judged: tuple[str, ...]
    contrast: bool = False


CASES = (
    Case("one_tissue", {"K1": (0.05, 0.6), "k2": (0.04, 0.5), "Vb": (0.02, 0.08)}, ("K1", "VT")),
    Case(
        "two_tissue",
        {"K1": (0.05, 0.5), "k2": (0.08, 0.4), "k3": (0.03, 0.12), "k4": (0.015, 0.06),
         "Vb": (0.02, 0.08)},
        ("K1", "VT"),
    ),
    Case(
        "two_tissue_irreversible",
        {"K1": (0.05, 0.5), "k2": (0.08, 0.4), "k3": (0.02, 0.12), "Vb": (0.02, 0.08)},
        ("K1", "Ki"),
    ),
    Case("tofts", {"Ktrans": (0.03, 0.5), "ve": (0.1, 0.5)}, ("Ktrans",), True),
    Case(
        "extended_tofts",
        {"Ktrans": (0.03, 0.5), "ve": (0.1, 0.5), "vp": (0.01, 0.1)},
        ("Ktrans",),
        True,
    ),
    Case(
        "two_compartment_exchange",
        {"Fp": (0.2, 1.0), "PS": (0.03, 0.3), "ve": (0.1, 0.4), "vp": (0.03, 0.12)},
        ("Fp", "Ktrans"),
        True,
    ),
)  # fmt: skip


# Method, model that made the curves, parameter: bias only, since no coverage is claimed.
GRAPHICAL = (
    ("patlak", "two_tissue_irreversible", "Ki"),
    ("logan", "two_tissue", "VT"),
    ("ma1", "two_tissue", "VT"),
    ("logan", "one_tissue", "VT"),
    ("ma1", "one_tissue", "VT"),
)
GRAPHICAL_START = "30 min"


def pet_frames() -> Frames:
    """90 min in 28 frames."""
    length = np.repeat([10.0, 30.0, 60.0, 120.0, 300.0], [6, 4, 3, 2, 16])
    return _in_a_row(length)


def contrast_frames() -> Frames:
    """6 min in frames of 2.4 s."""
    return _in_a_row(np.full(150, 2.4))


def _in_a_row(length: np.ndarray) -> Frames:
    start = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    return Frames(start=start, duration=length, zero=Zero(kind="administration"))


def bolus(when: np.ndarray) -> np.ndarray:
    """Plasma after a bolus, in kBq/mL at s (Feng et al., Int J Biomed Comput 1993;32:95)."""
    late = np.maximum((when - 15.0) / MINUTE, 0.0)
    first, second, third = 851.1, 21.88, 20.81
    rates = 4.134, 0.1191, 0.01043
    return np.asarray(
        (first * late - second - third) * np.exp(-rates[0] * late)
        + second * np.exp(-rates[1] * late)
        + third * np.exp(-rates[2] * late)
    )


def contrast_bolus(when: np.ndarray) -> np.ndarray:
    """Contrast in plasma in mmol/L: a gamma variate and a slow wash-out, from 20 s on."""
    late = np.maximum((when - 20.0) / MINUTE, 0.0)
    first = 6.0 * (late / 0.12) ** 2 * np.exp(2 * (1 - late / 0.12))
    return np.asarray(first + 1.1 * (1 - np.exp(-late / 0.2)) * np.exp(-0.12 * late))


def derivatives(model: str) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """Change of the compartments (n, c) by the model's own equations; parameters per second."""

    def change(state: np.ndarray, values: dict[str, np.ndarray], plasma: float) -> np.ndarray:
        if model in ("one_tissue", "tofts", "extended_tofts"):
            influx = values["K1"] if "K1" in values else values["Ktrans"]
            efflux = values["k2"] if "k2" in values else values["Ktrans"] / values["ve"]
            return (influx * plasma - efflux * state[:, 0])[:, None]
        if model == "two_compartment_exchange":
            Fp, PS, ve, vp = (values[name] for name in ("Fp", "PS", "ve", "vp"))
            # Concentrations in plasma and interstitium.
            inner, outer = state[:, 0], state[:, 1]
            flow = PS * (inner - outer)
            return np.stack([(Fp * (plasma - inner) - flow) / vp, flow / ve], axis=1)
        K1, k2, k3 = (values[name] for name in ("K1", "k2", "k3"))
        k4 = values.get("k4", np.zeros_like(K1))
        freely, bound = state[:, 0], state[:, 1]
        return np.stack(
            [K1 * plasma - (k2 + k3) * freely + k4 * bound, k3 * freely - k4 * bound], axis=1
        )

    return change  # type: ignore[return-value]


def truth(case: Case, values: dict[str, np.ndarray], frames: Frames) -> np.ndarray:
    """Noiseless frame means (n, t), by Runge-Kutta and Simpson's rule."""
    source = contrast_bolus if case.contrast else bolus
    change = derivatives(case.model)
    rates = {
        name: value if name in ("Vb", "ve", "vp") else value / MINUTE
        for name, value in values.items()
    }
    count = len(next(iter(values.values())))
    size = 2 if case.model.startswith("two") else 1
    state = np.zeros((count, size))
    means = np.empty((count, frames.start.size))
    for number, (start, length) in enumerate(zip(frames.start, frames.duration, strict=True)):
        # At most 1 s in the first five minutes, 5 s later: the rates are below 0.4 per s.
        steps = int(np.ceil(length / (0.6 if start < 300 else 5.0) / 2)) * 2
        steps *= 2 if case.model == "two_compartment_exchange" else 1
        width = length / steps
        sampled = np.empty((steps + 1, count))
        for step in range(steps + 1):
            now = start + step * width
            sampled[step] = measured(case, state, rates, now, source)
            if step < steps:
                plasma = [float(source(np.array(now + share * width))) for share in (0, 0.5, 1)]
                state = runge_kutta(change, state, rates, plasma, width)
        weight = np.full(steps + 1, 2.0)
        weight[1::2], weight[[0, -1]] = 4.0, 1.0
        means[:, number] = weight @ sampled / (3 * steps)
    return means


def runge_kutta(change, state, rates, plasma, width):  # type: ignore[no-untyped-def]
    """The state a step later."""
    first = change(state, rates, plasma[0])
    second = change(state + width / 2 * first, rates, plasma[1])
    third = change(state + width / 2 * second, rates, plasma[1])
    fourth = change(state + width * third, rates, plasma[2])
    return state + width / 6 * (first + 2 * second + 2 * third + fourth)


def measured(case, state, rates, now, source):  # type: ignore[no-untyped-def]
    """Concentration (n,) that the scanner sees."""
    plasma = float(source(np.array(now)))
    if case.model == "two_compartment_exchange":
        return rates["vp"] * state[:, 0] + rates["ve"] * state[:, 1]
    tissue = state.sum(axis=1)
    if case.contrast:
        return tissue + rates.get("vp", 0.0) * plasma
    return (1 - rates["Vb"]) * tissue + rates["Vb"] * (1 - HAEMATOCRIT) * plasma


def inputs(case: Case, frames: Frames) -> dict[str, InputCurve]:
    """The same input as a list of samples, as an autosampler or an image would give it."""
    early = np.arange(0.0, 120.0, 0.5 if case.contrast else 1.0)
    later = np.arange(120.0, 600.0, 1.0 if case.contrast else 5.0)
    knots = np.concatenate([early, later, np.arange(600.0, frames.end[-1] + 20.0, 20.0)])
    plasma = (contrast_bolus if case.contrast else bolus)(knots)
    unit = "mmol/L" if case.contrast else "kBq/mL"
    found = {
        "plasma": InputCurve(
            time=knots,
            values=plasma,
            compartment="plasma",
            substance="contrast" if case.contrast else "parent",
            unit=unit,
        )
    }
    if not case.contrast:
        found["blood"] = InputCurve(
            time=knots,
            values=(1 - HAEMATOCRIT) * plasma,
            compartment="blood",
            substance="total",
            unit=unit,
        )
    return found


def deviations(case: Case, clean: np.ndarray, frames: Frames, noise: float) -> np.ndarray:
    """Standard deviations (n, t): in the last third of the frames `noise` of the curve, on average.

    PET: as counting leaves them, sqrt(C exp(rate t) / length) with C the mean of all curves, since
    what is reconstructed together shares its noise; contrast MRI: the same in all frames.
    """
    late = slice(-(frames.start.size // 3), None)
    shape = np.ones(frames.start.size)
    if not case.contrast:
        level = clean.mean(axis=0)
        level = np.maximum(level, 0.01 * level.max())
        shape = np.sqrt(level * np.exp(CARBON_11 * frames.middle) / frames.duration)
    scale = np.mean(shape[late] / clean[:, late], axis=1, keepdims=True)
    return np.asarray(noise * shape / scale)


@dataclass(frozen=True)
class Outcome:
    """What one case at one level of noise showed. `bias`, `coverage`: by parameter."""

    case: Case
    noise: float
    bias: dict[str, float]
    coverage: dict[str, float]
    flagged: float
    far_unflagged: int
    seconds: float
    fit: Fit
    true: dict[str, np.ndarray]


def run(case: Case, noise: float, count: int, seed: int = 1) -> Outcome:
    """Simulate and fit `count` curves of a case at one level of noise."""
    return judge(case, noise, *simulate(case, count, seed), seed=seed)


def simulate(case: Case, count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, Frames]:
    """True parameters in display units, noiseless curves, frames."""
    rng = np.random.default_rng(seed)
    values = {
        name: np.exp(rng.uniform(np.log(low), np.log(high), count))
        for name, (low, high) in case.ranges.items()
    }
    frames = contrast_frames() if case.contrast else pet_frames()
    return values, truth(case, values, frames), frames


def judge(
    case: Case,
    noise: float,
    values: dict[str, np.ndarray],
    clean: np.ndarray,
    frames: Frames,
    *,
    seed: int = 1,
    free: tuple[str, ...] = (),
) -> Outcome:
    """Fit noisy copies of the curves, with what else is `free`, and compare with the truth."""
    from scipy import special

    rng = np.random.default_rng([seed, round(1e4 * noise)])
    sd = deviations(case, clean, frames, noise)
    noisy = clean + sd * rng.standard_normal(clean.shape)
    begun = time.perf_counter()
    found = fit(case.model, curves(case, noisy, frames), inputs(case, frames), sd=sd[0], free=free)
    seconds = time.perf_counter() - begun
    true = macro(values)
    open_ = np.array([bool({"poorly_identified", "not_fitted"} & {*one}) for one in found.flags])
    any_flag = np.array([bool({*one} - {"noise_unknown"}) for one in found.flags])
    spare = frames.start.size - len(values) - len(free)
    quantile = special.stdtrit(spare, LEVEL)
    bias, coverage, far = {}, {}, 0
    for column, name in enumerate(found.parameters):
        if name not in true:
            continue
        factor = 1 if found.display[column] in ("1", "mL/cm3") else MINUTE
        estimate = found.values[:, column] * factor
        deviation = np.sqrt(found.covariance[:, column, column]) * factor
        bias[name] = float(np.nanmedian(estimate / true[name]) - 1)
        near = np.abs(estimate - true[name]) <= quantile * deviation
        coverage[name] = float(np.mean(near[~open_ & np.isfinite(deviation)]))
        if name in ("VT", "Ki", "Ktrans", "K1", "Fp"):
            with np.errstate(divide="ignore", invalid="ignore"):
                away = ~(np.abs(np.log(estimate / true[name])) <= np.log(3))
            far += int(np.sum(away & ~any_flag))
    return Outcome(case, noise, bias, coverage, float(open_.mean()), far, seconds, found, true)


def graphical_bias(
    method: str, case: Case, noise: float, made: tuple[dict[str, np.ndarray], np.ndarray, Frames]
) -> tuple[float, float]:
    """Median bias of a graphical method's answer, and half the middle 68 % of its errors."""
    values, clean, frames = made
    name = next(one for one in case.judged if one != "K1")
    rng = np.random.default_rng([2, round(1e4 * noise)])
    noisy = clean + deviations(case, clean, frames, noise) * rng.standard_normal(clean.shape)
    found = fit(method, curves(case, noisy, frames), inputs(case, frames), start=GRAPHICAL_START)
    column = found.parameters.index(name)
    factor = MINUTE if found.display[column].endswith("/min") else 1.0
    error = found.values[:, column] * factor / macro(values)[name] - 1
    low, high = np.nanquantile(error, [0.16, 0.84])
    return float(np.nanmedian(error)), float(high - low) / 2


def macro(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """True parameters with their macro-parameters, in display units."""
    known = dict(values)
    if "K1" in known and "k4" in known:
        known["VT"] = known["K1"] / known["k2"] * (1 + known["k3"] / known["k4"])
    elif "k3" in known:
        known["Ki"] = known["K1"] * known["k3"] / (known["k2"] + known["k3"])
    elif "K1" in known:
        known["VT"] = known["K1"] / known["k2"]
    if "PS" in known:
        known["Ktrans"] = known["Fp"] * known["PS"] / (known["Fp"] + known["PS"])
    return known


def curves(case: Case, values: np.ndarray, frames: Frames) -> Curves:
    """Regions of these curves."""
    count, size = values.shape
    return Curves(
        values=values,
        # Nothing is known of the noise: a scalar that is broadcast, not (t, n, n) numbers.
        covariance=np.broadcast_to(np.nan, (size, count, count)),
        volume=np.ones(count),
        volume_sd=np.zeros(count),
        names=tuple(f"region {number}" for number in range(count)),
        kinds=("organ",) * count,
        frames=frames,
        quantity="concentration",
        unit="mmol/L" if case.contrast else "kBq/mL",
        analyte="contrast" if case.contrast else "label",
    )


def line(outcome: Outcome) -> str:
    """One line of the table."""
    parts = [
        f"{name} {100 * outcome.bias[name]:+5.1f} % / {100 * outcome.coverage[name]:4.1f} %"
        for name in outcome.bias
    ]
    return (
        f"{outcome.case.model:25s} {100 * outcome.noise:3.0f} %  flagged "
        f"{100 * outcome.flagged:4.1f} %  far {outcome.far_unflagged:3d}  "
        f"{outcome.seconds:5.1f} s  " + "  ".join(parts)
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--curves", type=int, default=2000)
    parser.add_argument("--models", nargs="*", default=[case.model for case in CASES])
    asked = parser.parse_args()
    print("model, noise; poorly identified; beyond a factor 3 without a flag; time of the fit;")
    print("for each parameter: median bias / coverage of 95 % intervals that are not flagged")
    for case in (one for one in CASES if one.model in asked.models):
        made = simulate(case, asked.curves, 1)
        for noise in NOISE:
            print(line(judge(case, noise, *made)), flush=True)
    print(f"\ngraphical methods from {GRAPHICAL_START} on: median bias / half width of 68 %")
    for method, model, name in GRAPHICAL:
        case = next(one for one in CASES if one.model == model)
        if model not in asked.models:
            continue
        made = simulate(case, asked.curves, 1)
        shown = [graphical_bias(method, case, noise, made) for noise in NOISE]
        cells = [
            f"{100 * noise:.0f} %: {100 * bias:+5.1f} % / {100 * width:4.1f} %"
            for noise, (bias, width) in zip(NOISE, shown, strict=True)
        ]
        print(f"{method:8s} {name:3s} of {model:25s} " + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
