"""Models of an input: shapes fitted to blood samples, and knots dense enough to stand for them.

Each model is a sum of non-negative amplitudes times columns that a few times and rates shape, so
that a fit searches only those, and the amplitudes follow by non-negative least squares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import interpolate, optimize

from igdd.errors import FitError, InputError

Function = Callable[[np.ndarray], np.ndarray]
MOST_KNOTS = 50_000
MOST_STEPS = 200
MOST_SAMPLES = 20_000  # five hours of an autosampler at 1 s
# Of the value: by how much straight lines between knots may miss a curve.
MISS = 1e-4
# Of the peak: below it a curve counts as not yet risen, and a sample's noise no longer falls.
RISEN, FLOOR = 0.05, 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class InputFit:
    """A model fitted to samples: its function of time in s, its parameters, where it has kinks.

    parameters  name -> value, in s, 1/s and the samples' unit; empty for a spline
    residual    root mean square of the misfit in the samples' unit
    """

    model: str
    function: Function
    parameters: Mapping[str, float] = field(default_factory=dict)
    breaks: tuple[float, ...] = ()
    residual: float = float("nan")


def tri_exponential(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Columns (n, 3) of a linear rise to a peak and three exponentials after it.

    shape  (start, rise, rate1, rate2, rate3): s, s, 1/s
    """
    start, rise, *rates = shape
    since = time[:, None] - start
    decay = np.exp(-np.asarray(rates) * np.maximum(since - rise, 0.0))
    return np.asarray(np.clip(since / rise, 0.0, 1.0) * decay)


def feng(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Columns (n, 3) of Feng's input model (Feng, Huang, Wang 1993, Int J Biomed Comput 32:95).

    A1 u exp(-r1 u) + A2 (exp(-r2 u) - exp(-r1 u)) + A3 (exp(-r3 u) - exp(-r1 u)), u = t - start.

    shape  (start, rate1, rate2, rate3)
    """
    start, first, second, third = shape
    since = np.maximum(time - start, 0.0)
    fast = np.exp(-first * since)
    columns = (since * fast, np.exp(-second * since) - fast, np.exp(-third * since) - fast)
    return np.stack(columns, axis=1)


def feng_infusion(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Columns (n, 3) of Feng's model after an infusion at a constant rate instead of a bolus.

    `feng` convolved with a box of unit area, in closed form: the mean of it over the last
    `infusion` seconds.

    shape  (start, infusion, rate1, rate2, rate3)
    """
    start, infusion, *rates = shape
    ends = np.maximum(np.stack([time - start, time - start - infusion]), 0.0)
    first, second, third = rates
    plain = [-np.expm1(-rate * ends) / rate for rate in (first, second, third)]
    ramp = (plain[0] - ends * np.exp(-first * ends)) / first
    integrals = np.stack([ramp, plain[1] - plain[0], plain[2] - plain[0]], axis=-1)
    return np.asarray((integrals[0] - integrals[1]) / infusion)


_SHAPES: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], tuple[str, ...]]] = {
    "tri_exponential": (tri_exponential, ("start", "rise", "rate1", "rate2", "rate3")),
    "feng": (feng, ("start", "rate1", "rate2", "rate3")),
    "feng_infusion": (feng_infusion, ("start", "infusion", "rate1", "rate2", "rate3")),
}
MODELS = (*_SHAPES, "spline", "monotone")


def sample_sd(time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Relative standard deviations (n,) by which blood samples are weighted.

    Counting noise of a sample that stands for the time around it: the variance is proportional to
    the value (not below 1 % of the peak) and to one over the gap between its neighbours, so that
    a few late samples count beside a second-by-second recording.
    """
    gaps = np.gradient(time)
    level = np.maximum(np.abs(values), FLOOR * np.max(np.abs(values)))
    return np.asarray(np.sqrt(level / gaps))


def fit(
    model: str,
    time: np.ndarray,
    values: np.ndarray,
    held: Mapping[str, float] | None = None,
) -> InputFit:
    """Fit a model to samples in s and any unit, weighted by `sample_sd`.

    model  tri_exponential, feng, feng_infusion; "spline": as sampled up to the peak, then a cubic
           smoothing spline of the logarithm over log time (generalised cross-validation);
           "monotone": after the peak through every sample, without a wiggle between them
    held   parameters that are known, e.g. {"infusion": 60.0}
    """
    if model not in MODELS:
        raise InputError(f"input model {model!r} is unknown; expected one of {', '.join(MODELS)}")
    if time.size < 2 or not (np.diff(time) > 0).all():
        raise InputError(f"an input model needs ascending times; found {time.size} samples")
    if time.size > MOST_SAMPLES:
        raise InputError(
            f"an input model is fitted to at most {MOST_SAMPLES} samples; found {time.size}; "
            "expected fewer, or model = 'interpolate'"
        )
    if not np.max(values) > 0:
        raise FitError("an input model needs samples above zero; found none")
    sd = sample_sd(time, values)
    if model in _SHAPES:
        return _fit_shape(model, (time, values, sd), held or {})
    if held:
        raise InputError(f"a {model} has no parameters to hold; found {', '.join(held)}")
    function, breaks = _decay_spline(time, values, sd if model == "spline" else None)
    residual = float(np.sqrt(np.mean((function(time) - values) ** 2)))
    return InputFit(model=model, function=function, breaks=breaks, residual=residual)


def _fit_shape(
    model: str, samples: tuple[np.ndarray, np.ndarray, np.ndarray], held: Mapping[str, float]
) -> InputFit:
    """A shape fitted to samples (time, values, sd): times but the start are searched as logs."""
    columns, names = _SHAPES[model]
    time, values, sd = samples
    if unknown := set(held) - set(names):
        raise InputError(f"{model} has no {sorted(unknown)[0]!r}; expected {', '.join(names)}")
    fixed = {name: float(value) for name, value in held.items()}
    for name, value in fixed.items():
        if name != "start" and not value > 0:
            raise InputError(f"{model}: {name} is held at {value:g}; expected more than 0")
    free = [name for name in names if name not in fixed]
    if time.size < len(free) + 3:
        raise InputError(
            f"{model} has {len(free) + 3} parameters but there are {time.size} samples; "
            "expected at least as many, or model = 'interpolate'"
        )

    def shaped(point: np.ndarray) -> np.ndarray:
        found = dict(zip(free, point, strict=True))
        natural = {n: v if n == "start" else np.exp(v) for n, v in found.items()} | fixed
        return np.array([natural[name] for name in names])

    def amplitudes(point: np.ndarray) -> np.ndarray:
        return np.asarray(optimize.nnls(columns(time, shaped(point)) / sd[:, None], values / sd)[0])

    def misfit(point: np.ndarray) -> np.ndarray:
        curve = columns(time, shaped(point)) @ amplitudes(point)
        return np.asarray((curve - values) / sd)

    best = _search(misfit, _starts(time, values, free), _bounds(time, values, free))
    shape, weights = shaped(best), amplitudes(best)
    if model == "tri_exponential":  # its exponentials are alike: the fastest is the first
        order = np.argsort(-shape[2:])
        shape[2:], weights = shape[2:][order], weights[order]
    parameters = dict(zip(names, map(float, shape), strict=True))
    parameters |= {f"amplitude{i + 1}": float(weight) for i, weight in enumerate(weights)}
    return InputFit(
        model=model,
        function=lambda at: np.asarray(columns(np.asarray(at, float), shape) @ weights),
        parameters=parameters,
        breaks=_breaks(parameters),
        residual=float(np.sqrt(np.mean((columns(time, shape) @ weights - values) ** 2))),
    )


def _breaks(parameters: Mapping[str, float]) -> tuple[float, ...]:
    """Times in s at which a shape has a kink: its start, and the end of its rise or infusion."""
    start = parameters["start"]
    later = (start + parameters[name] for name in ("rise", "infusion") if name in parameters)
    return (start, *later)


def _search(
    misfit: Function, starts: Iterable[np.ndarray], bounds: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """The best of several local least-squares searches; one that breaks down is left out."""
    found = []
    for start in starts:
        try:
            with np.errstate(all="ignore"):
                one = optimize.least_squares(
                    misfit,
                    np.clip(start, *bounds),
                    bounds=bounds,
                    x_scale="jac",
                    max_nfev=MOST_STEPS,
                )
        except (ValueError, RuntimeError):  # residuals not finite, or amplitudes not found
            continue
        found.append(one)
    if not found:
        raise FitError(
            "the input model follows none of the samples; expected a rise, a peak and a fall; "
            "use model = 'interpolate'"
        )
    return np.asarray(min(found, key=lambda one: float(one.cost)).x)


def _onset(time: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Last sample before the rise and the peak's, in s."""
    peak = int(np.argmax(values))
    low = np.flatnonzero(values[: peak + 1] < RISEN * values[peak])
    return float(time[low[-1]] if low.size else time[0]), float(time[peak])


def _starts(time: np.ndarray, values: np.ndarray, free: list[str]) -> list[np.ndarray]:
    """Points from which a shape is searched: two sets of rates, each with two lengths of rise."""
    onset, peak = _onset(time, values)
    length = max(peak - onset, float(np.diff(time).min()))
    slowest = time[-1] - onset
    ladders = [
        (3 / length, 1 / (5 * length), 1 / slowest),
        (0.5 / length, 10 / slowest, 0.3 / slowest),
    ]
    lengths = (length, length / 3)
    points = []
    for rates, first in itertools.product(ladders, lengths):
        natural = {"rise": first, "infusion": first}
        natural |= {f"rate{i + 1}": rate for i, rate in enumerate(rates)}
        points.append(np.array([onset if n == "start" else np.log(natural[n]) for n in free]))
    return points


def _bounds(time: np.ndarray, values: np.ndarray, free: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each free parameter, as it is searched."""
    onset, peak = _onset(time, values)
    gap = float(np.diff(time).min())
    span = float(time[-1] - time[0])
    reach = max(peak - onset, gap)
    # the onset lies between two samples; a curve that falls from its first may start before it
    known = {
        "start": (onset - reach - gap, peak),
        "rise": (np.log(gap / 100), np.log(3 * reach + gap)),
        "infusion": (np.log(gap / 100), np.log(span)),
    }
    rate = (np.log(1e-3 / span), np.log(30 / gap))
    low, high = zip(*(known.get(name, rate) for name in free), strict=True)
    return np.array(low), np.array(high)


def _decay_spline(
    time: np.ndarray, values: np.ndarray, sd: np.ndarray | None
) -> tuple[Function, tuple[float, ...]]:
    """As sampled up to the peak, then a spline of log value over log time since the onset."""
    onset, top = _onset(time, values)
    peak = int(np.argmax(values))
    used = (np.arange(time.size) >= peak) & (values > 0)
    if used.sum() < 5:
        raise InputError(
            f"a spline needs 5 samples above zero from the peak on; found {used.sum()}; "
            "expected more, or model = 'interpolate'"
        )
    offset = onset - max(top - onset, float(np.diff(time).min()))  # log(0) is nowhere near
    place, level = np.log(time[used] - offset), np.log(values[used])
    if sd is None:
        curve: Function = interpolate.PchipInterpolator(place, level)
    else:
        curve = _smoothing(place, level, (values[used] / sd[used]) ** 2)
    last = float(time[used][-1])

    def function(at: np.ndarray) -> np.ndarray:
        at = np.asarray(at, float)
        rising = np.interp(at, time[: peak + 1], values[: peak + 1], left=0.0)
        # the spline's own value at the peak, so that rise and decay meet
        ratio = np.exp(float(curve(place[0]))) / values[peak]
        falling = np.exp(curve(np.log(np.clip(at, top, last) - offset)))
        return np.where(at < top, rising * ratio, falling)

    return function, (*map(float, time[: peak + 1]),)


def _smoothing(place: np.ndarray, level: np.ndarray, weight: np.ndarray) -> Function:
    try:
        found: Function = interpolate.make_smoothing_spline(place, level, w=weight)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise FitError(
            f"no smoothing spline follows the samples ({error}); expected samples of similar "
            "weight; use model = 'monotone' or 'interpolate'"
        ) from error
    return found


def knots(
    function: Function, start: float, end: float, breaks: Iterable[float] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Times and values between which straight lines stand for a function.

    Intervals are halved until a line misses their quarter points by less than `MISS` of the
    function there, or of 1 % of its peak where it is lower. Kinks belong into `breaks`.
    """
    if not end > start:
        raise InputError(f"an input from {start:g} s to {end:g} s; expected an end after its start")
    inner = [at for at in breaks if start < at < end]
    # geometric steps find a bolus however long the curve is
    steps = start + (end - start) * np.concatenate([[0.0], np.geomspace(1e-5, 1.0, 120)])
    steps[-1] = end
    time = np.unique(np.concatenate([steps, inner]))
    values = function(time)
    settled = np.zeros(time.size - 1, dtype=bool)
    most = max(MOST_KNOTS, 8 * time.size)
    for _ in range(40):
        open_ = np.flatnonzero(~settled)
        if not open_.size:
            break
        if time.size > most:
            raise FitError(
                f"the curve needs more than {most} straight pieces; expected one that is smooth "
                "between its samples; use model = 'interpolate'"
            )
        left, right = time[open_], time[open_ + 1]
        peak = np.max(np.abs(values))
        miss = np.zeros(open_.size, dtype=bool)
        for share in (0.25, 0.5, 0.75):
            exact = function(left + share * (right - left))
            line = values[open_] * (1 - share) + values[open_ + 1] * share
            allowed = MISS * np.maximum(np.abs(exact), FLOOR * peak)
            miss |= np.abs(exact - line) > allowed
        miss &= right - left > 1e-9 * max(abs(start), abs(end), 1.0)
        settled[open_[~miss]] = True
        added = (left + right)[miss] / 2
        places = open_[miss] + 1
        time = np.insert(time, places, added)
        values = np.insert(values, places, function(added))
        settled = np.insert(settled, open_[miss], False)
    return time, np.asarray(values)
