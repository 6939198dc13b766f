"""Convolution of an input with a decaying exponential, over the frames of a scan.

The input C is straight between its knots, zero before the first and constant after the last. Its
convolution F(t) = int C(s) exp(-rate (t - s)) ds and the running integral of F then have a closed
form on every segment. With h the step, x = rate h and c, c' the input at both ends,

    F(t+h) = phi0 F + h (c phi1 + (c' - c) phi2)
    G(t+h) = G + h phi1 F + h^2 (c phi2 + (c' - c) phi3),      G = int F

where phi0(x) = exp(-x) and phi_k(x) = 1/k! - x phi_{k+1}(x), so that nothing cancels at small rates
and rate 0 gives the running integral. Since d phi_k / dx = k phi_{k+1} - phi_k, the derivative by
the rate follows the same recursion.

A window is (start, end, integration): "exact" gives the mean over each frame, "instant" the value
at its middle, "trapezium" the recursion F(t+h) = phi0 F + h (c' + c phi0) / 2 over the middles.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit

Window = tuple[np.ndarray, np.ndarray, str]

# Steps that differ by so small a share use the same phi functions; the result errs by about it.
STEP_ALIKE = 1e-10

# Times in s that are the same but for rounding.
ROUNDING = 1e-6

_TERMS = 14  # of the series of phi_4 below 1: the next is under 1e-16


def convolve(
    time: np.ndarray,
    values: np.ndarray,
    window: Window,
    rate: np.ndarray,
    delay: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Input convolved with exp(-rate t), (n, t) for rates (n,) in 1/s and delays (n,) in s.

    The tissue sees at t what the input had at t - delay.

    >>> knots = np.array([0.0, 100.0])
    >>> at_ten = np.array([9.0]), np.array([11.0]), "instant"
    >>> found = convolve(knots, np.ones(2), at_ten, np.array([0.0, 0.1]))
    >>> found.round(3).tolist()  # t, and (1 - exp(-0.1 t)) / 0.1
    [[10.0], [6.321]]
    """
    return _over_frames(time, values, window, rate, delay, derivative=False)[0]


def convolve_with_derivative(
    time: np.ndarray,
    values: np.ndarray,
    window: Window,
    rate: np.ndarray,
    delay: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The convolution (n, t) and its derivative by the rate (n, t), in s times its unit."""
    return _over_frames(time, values, window, rate, delay, derivative=True)


def sample(
    time: np.ndarray, values: np.ndarray, window: Window, delay: np.ndarray | float = 0.0
) -> np.ndarray:
    """The input itself, (n, t) for delays (n,) in s: frame means, or its values at the middles."""
    start, end, integration = window
    later = np.atleast_1d(np.asarray(delay, dtype=float))[:, None]
    if integration != "exact":
        return at(time, values, (start + end) / 2 - later)
    whole = integral(time, values, end - later) - integral(time, values, start - later)
    return np.asarray(whole / (end - start))


def at(time: np.ndarray, values: np.ndarray, when: np.ndarray) -> np.ndarray:
    """The input at instants of any shape, in s."""
    return np.asarray(np.interp(when, time, values, left=0.0))


def integral(time: np.ndarray, values: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Integral of the input up to instants of any shape, in s times its unit.

    >>> integral(np.array([0.0, 10.0]), np.array([0.0, 10.0]), np.array([-1.0, 4.0, 20.0])).tolist()
    [0.0, 8.0, 150.0]
    """
    knots = np.concatenate([[0.0], np.cumsum(np.diff(time) * (values[1:] + values[:-1]) / 2)])
    segment = np.clip(np.searchsorted(time, until, side="right") - 1, 0, time.size - 1)
    step = np.maximum(until - time[segment], 0.0)
    return np.asarray(knots[segment] + step * (values[segment] + at(time, values, until)) / 2)


def with_means(
    start: np.ndarray, end: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a curve that has given means (t,) over frames, and has them at their middles, too.

    Lines from middle to middle lose the means wherever the curve bends. Here they say how high it
    is at the edges of the frames, but at most twice the mean, that of both frames where two meet:
    so it never falls below zero between means that do not. Halfway between edge and middle it
    makes up for what the mean then lacks. It begins with 0 and ends with the last mean.

    start, end  (t,) in s, ascending; frames may lie apart, and overlap by rounding

    >>> start, end = np.array([0.0, 10.0]), np.array([10.0, 20.0])
    >>> time, values = with_means(start, end, np.array([8.0, 6.0]))
    >>> sample(time, values, (start, end, "exact")).tolist()
    [[8.0, 6.0]]
    """
    middle = (start + end) / 2
    most = np.maximum(2 * means, means)
    first, last = (np.minimum(np.interp(when, middle, means), most) for when in (start, end))
    meet = start[1:] - end[:-1] <= ROUNDING
    first[1:][meet] = np.minimum(first[1:], most[:-1])[meet]
    last[:-1][meet] = np.minimum(last[:-1], most[1:])[meet]
    first[0] = 0.0
    lacking = means - (first + last) / 2
    knots = [
        (start, first),
        ((start + middle) / 2, (first + means) / 2 + lacking),
        (middle, means),
        ((middle + end) / 2, (means + last) / 2 + lacking),
        (end, last),
    ]
    time, values = (np.stack(one, axis=1).ravel() for one in zip(*knots, strict=True))
    # A frame begins where the one before it ends, or earlier by rounding.
    apart = np.append(True, np.diff(time) > ROUNDING)
    return time[apart], values[apart]


def _over_frames(
    time: np.ndarray,
    values: np.ndarray,
    window: Window,
    rate: np.ndarray,
    delay: np.ndarray | float,
    *,
    derivative: bool,
) -> tuple[np.ndarray, np.ndarray]:
    start, end, integration = window
    rates, delays = np.broadcast_arrays(
        np.asarray(rate, dtype=float).ravel(), np.asarray(delay, dtype=float).ravel()
    )
    rates, delays = np.ascontiguousarray(rates), np.ascontiguousarray(delays)
    start, end = np.ascontiguousarray(start, dtype=float), np.ascontiguousarray(end, dtype=float)
    knots = np.ascontiguousarray(time, dtype=float), np.ascontiguousarray(values, dtype=float)
    if integration == "trapezium":
        return _trapezium(*knots, (start + end) / 2, rates, delays)
    if integration not in ("exact", "instant"):
        raise InputError(f"integration is {integration!r}; expected exact, instant or trapezium")
    instant = integration == "instant"
    value, change = _exact(*knots, start, end, rates, delays, instant, derivative)
    return value, change


@njit(cache=True, nogil=True)
def _phi(x: float) -> tuple[float, float, float, float, float]:
    """phi_0 to phi_4 at x >= 0 (or any x of small size)."""
    if abs(x) < 1.0:
        term = 1.0 / 24.0
        phi4 = term
        for order in range(5, 5 + _TERMS):
            term *= -x / order
            phi4 += term
        phi3 = 1.0 / 6.0 - x * phi4
        phi2 = 0.5 - x * phi3
        phi1 = 1.0 - x * phi2
        return 1.0 - x * phi1, phi1, phi2, phi3, phi4
    phi0 = np.exp(-x)
    phi1 = (1.0 - phi0) / x
    phi2 = (1.0 - phi1) / x
    phi3 = (0.5 - phi2) / x
    return phi0, phi1, phi2, phi3, (1.0 / 6.0 - phi3) / x


@njit(cache=True, nogil=True)
def _carry(
    h: float,
    phi: tuple[float, float, float, float, float],
    low: float,
    high: float,
    state: np.ndarray,
    following: np.ndarray,
) -> None:
    """Carry (F, G, dF, dG), d by the rate, over a segment of length h whose input runs from low to
    high; phi holds phi_0 to phi_4 of rate times h.
    """
    phi0, phi1, phi2, phi3, phi4 = phi
    rise = high - low
    convolved, summed, convolved_by_rate, summed_by_rate = state
    following[0] = phi0 * convolved + h * (low * phi1 + rise * phi2)
    following[1] = summed + h * phi1 * convolved + h * h * (low * phi2 + rise * phi3)
    by1, by2, by3 = phi2 - phi1, 2.0 * phi3 - phi2, 3.0 * phi4 - phi3
    following[2] = (
        phi0 * convolved_by_rate - h * phi0 * convolved + h * h * (low * by1 + rise * by2)
    )
    following[3] = (
        summed_by_rate
        + h * phi1 * convolved_by_rate
        + h * h * by1 * convolved
        + h * h * h * (low * by2 + rise * by3)
    )


@njit(cache=True, nogil=True)
def _until(
    when: float,
    rate: float,
    time: np.ndarray,
    values: np.ndarray,
    states: np.ndarray,
    state: np.ndarray,
) -> None:
    """(F, G, dF, dG) at an instant, from the states at the knots."""
    if when <= time[0]:
        state[:] = 0.0
        return
    knot = np.searchsorted(time, when, side="right") - 1
    h = when - time[knot]
    high = values[knot]
    if knot + 1 < time.size:
        high += (values[knot + 1] - values[knot]) * h / (time[knot + 1] - time[knot])
    _carry(h, _phi(rate * h), values[knot], high, states[knot], state)


@njit(cache=True, nogil=True)
def _exact(
    time: np.ndarray,
    values: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    rates: np.ndarray,
    delays: np.ndarray,
    instant: bool,
    derivative: bool,
) -> tuple[np.ndarray, np.ndarray]:
    found = np.empty((rates.size, start.size))
    change = np.empty((rates.size, start.size) if derivative else (0, 0))
    states = np.zeros((time.size, 4))
    first, last = np.empty(4), np.empty(4)
    for row in range(rates.size):
        rate, delay = rates[row], delays[row]
        if row == 0 or rate != rates[row - 1]:
            step, phi = 0.0, _phi(0.0)
            for knot in range(1, time.size):
                h = time[knot] - time[knot - 1]
                # A sampler's steps are equal but for the rounding of its clock.
                if abs(h - step) > STEP_ALIKE * h:
                    step, phi = h, _phi(rate * h)
                _carry(h, phi, values[knot - 1], values[knot], states[knot - 1], states[knot])
        for frame in range(start.size):
            if instant:
                middle = (start[frame] + end[frame]) / 2.0 - delay
                _until(middle, rate, time, values, states, last)
                found[row, frame] = last[0]
                if derivative:
                    change[row, frame] = last[2]
                continue
            if frame == 0 or start[frame] != end[frame - 1]:
                _until(start[frame] - delay, rate, time, values, states, first)
            else:
                first[:] = last
            _until(end[frame] - delay, rate, time, values, states, last)
            duration = end[frame] - start[frame]
            found[row, frame] = (last[1] - first[1]) / duration
            if derivative:
                change[row, frame] = (last[3] - first[3]) / duration
    return found, change


def _trapezium(
    time: np.ndarray,
    values: np.ndarray,
    middle: np.ndarray,
    rates: np.ndarray,
    delays: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The recursion over the samples at the middles, from time zero where they begin after it."""
    leads = middle[0] > 0
    when = np.concatenate([[0.0], middle]) if leads else middle
    seen = at(time, values, when - delays[:, None])
    found, change = np.zeros_like(seen), np.zeros_like(seen)
    for sample in range(1, when.size):
        h = when[sample] - when[sample - 1]
        kept = np.exp(-rates * h)
        before, carried = seen[:, sample - 1], found[:, sample - 1]
        found[:, sample] = kept * carried + h * (seen[:, sample] + before * kept) / 2
        change[:, sample] = kept * (change[:, sample - 1] - h * (carried + h * before / 2))
    return found[:, int(leads) :], change[:, int(leads) :]
