"""Release laws: the percentage of a load that is released by a time, and the time of a percentage.

Each law is a pair of functions of arrays that broadcast. `time` is that since the lag, at least 0;
rates are per unit of that time; a coefficient in % is what is released after one unit of time, as
in kH sqrt(t). What a law gives at complete release is stated: laws of dissolving and eroding bodies
stop there, the straight ones do not. A percentage that is never reached takes infinitely long.

Sources: Costa and Sousa Lobo, Eur J Pharm Sci 2001;13:123 (all but the two below); Peppas and
Sahlin, Int J Pharm 1989;57:169; Zhang and colleagues, AAPS J 2010;12:263 (spelling of Gompertz and
logistic on the logarithm of time).
"""

from __future__ import annotations

import numpy as np

ALL = 100.0
Values = np.ndarray


def _quotient(above: Values, below: Values) -> Values:
    """above / below; infinite where nothing is below, for what never gets there takes for ever."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.inf), where=below > 0))


def _share(level: Values, Fmax: Values) -> Values:
    """Share (0..1) of Fmax at a level; NaN where the level is not below Fmax."""
    level, Fmax = np.broadcast_arrays(np.asarray(level, float), np.asarray(Fmax, float))
    return np.where(level < Fmax, _quotient(level, Fmax), np.nan)


def _first_order_age(level: Values, Fmax: Values) -> Values:
    """-ln(1 - F / Fmax), to the last digit where little is released."""
    return np.asarray(-np.log1p(-_share(level, Fmax)))


def _ever(found: Values) -> Values:
    """Infinite where a level is never reached."""
    return np.where(np.isnan(found), np.inf, found)


def _decades(time: Values) -> Values:
    """log10 t; of no time at all that of the smallest number, which is finite."""
    return np.asarray(np.log10(np.maximum(time, np.finfo(float).tiny)))


def zero_order(time: Values, k0: Values) -> Values:
    """F = k0 t, at a constant rate; it does not stop at 100 %."""
    return np.asarray(k0 * time)


def zero_order_time(level: Values, k0: Values) -> Values:
    """t = F / k0."""
    return _quotient(level, k0)


def first_order(time: Values, k1: Values, Fmax: Values) -> Values:
    """F = Fmax (1 - exp(-k1 t)), at a rate in proportion to what is left.

    >>> first_order(np.array([np.log(2)]), 1.0, 100.0).round(12)
    array([50.])
    """
    return np.asarray(-Fmax * np.expm1(-k1 * time))


def first_order_time(level: Values, k1: Values, Fmax: Values) -> Values:
    """t = -ln(1 - F / Fmax) / k1."""
    return _ever(_quotient(_first_order_age(level, Fmax), k1))


def higuchi(time: Values, kH: Values) -> Values:
    """F = kH sqrt(t): diffusion out of a matrix through a plane; it does not stop at 100 %."""
    return np.asarray(kH * np.sqrt(time))


def higuchi_time(level: Values, kH: Values) -> Values:
    """t = (F / kH)^2."""
    return np.asarray(_quotient(level, kH) ** 2)


def korsmeyer_peppas(time: Values, kKP: Values, n: Values) -> Values:
    """F = kKP t^n; a description of the first 60 %, which does not stop at 100 %."""
    return np.asarray(kKP * time**n)


def korsmeyer_peppas_time(level: Values, kKP: Values, n: Values) -> Values:
    """t = (F / kKP)^(1/n)."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(_quotient(level, kKP) ** (1 / np.asarray(n, float)))


def hopfenberg(time: Values, kHB: Values, n: Values, Fmax: Values) -> Values:
    """Erosion of a slab (n 1), cylinder (2), sphere (3): F = Fmax (1 - (1 - kHB t)^n), kHB t <= 1.

    Hixson and Crowell's cube root law is that of n = 3.
    """
    return np.asarray(Fmax * (1 - np.maximum(1 - kHB * time, 0.0) ** n))


def hopfenberg_time(level: Values, kHB: Values, n: Values, Fmax: Values) -> Values:
    """t = (1 - (1 - F / Fmax)^(1/n)) / kHB."""
    return _ever(_quotient(-np.expm1(-_first_order_age(level, Fmax) / np.asarray(n, float)), kHB))


def weibull(time: Values, Td: Values, beta: Values, Fmax: Values) -> Values:
    """F = Fmax (1 - exp(-(t / Td)^beta)); after Td 63.2 % of Fmax are released."""
    with np.errstate(over="ignore"):
        folds = _quotient(time, Td) ** np.asarray(beta, float)
    return np.where(time > 0, -Fmax * np.expm1(-folds), 0.0)


def weibull_time(level: Values, Td: Values, beta: Values, Fmax: Values) -> Values:
    """t = Td (-ln(1 - F / Fmax))^(1 / beta)."""
    return _ever(Td * _first_order_age(level, Fmax) ** (1 / np.asarray(beta, float)))


def baker_lonsdale(time: Values, kBL: Values, Fmax: Values) -> Values:
    """Diffusion out of a sphere: 3/2 (1 - (1 - f)^(2/3)) - f = kBL t with f = F / Fmax.

    A cubic in u = (1 - f)^(1/3) whose root is u = 1/2 + cos(pi/3 + d), d = 2/3 asin(sqrt(2 kBL t)),
    exact; 1 - u is taken by sines so that no digit is lost at early times. All is released once
    kBL t = 1/2.

    >>> round(float(baker_lonsdale(np.array(0.5), 1.0, 100.0)), 12)
    100.0
    """
    turn = 2 / 3 * np.arcsin(np.sqrt(np.clip(2 * kBL * time, 0.0, 1.0)))
    gone = np.sin(turn / 2) ** 2 + np.sqrt(3) / 2 * np.sin(turn)  # 1 - u
    return np.asarray(Fmax * gone * (3 - gone * (3 - gone)))  # 1 - u^3


def baker_lonsdale_time(level: Values, kBL: Values, Fmax: Values) -> Values:
    """t = (3/2 (1 - (1 - f)^(2/3)) - f) / kBL."""
    gone = -np.expm1(-_first_order_age(level, Fmax) / 3)  # 1 - u
    return _ever(_quotient(gone**2 * (1.5 - gone), kBL))


def peppas_sahlin(time: Values, k1: Values, k2: Values, m: Values) -> Values:
    """F = k1 t^m + k2 t^(2m): diffusion and relaxation; it does not stop at 100 %."""
    return np.asarray(k1 * time**m + k2 * time ** (2 * m))


def peppas_sahlin_time(level: Values, k1: Values, k2: Values, m: Values) -> Values:
    """The first t at which k2 x^2 + k1 x = F, x = t^m."""
    level, k1, k2, m = np.broadcast_arrays(*(np.asarray(one, float) for one in (level, k1, k2, m)))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # the form that loses no digit and holds for k2 = 0 and for k2 below 0
        root = 2 * level / (k1 + np.sqrt(k1**2 + 4 * k2 * level))
        return _ever(np.where(root >= 0, root, np.nan) ** (1 / m))


def gompertz(time: Values, alpha: Values, beta: Values, Fmax: Values) -> Values:
    """F = Fmax exp(-alpha exp(-beta log10 t)): a slow start, then fast, then slower; 0 at t = 0."""
    with np.errstate(over="ignore"):
        released = Fmax * np.exp(-alpha * np.exp(-beta * _decades(time)))
    return np.where(time > 0, released, 0.0)


def gompertz_time(level: Values, alpha: Values, beta: Values, Fmax: Values) -> Values:
    """log10 t = ln(alpha / -ln(F / Fmax)) / beta."""
    share = _share(level, Fmax)
    with np.errstate(divide="ignore", over="ignore"):
        return _ever(10 ** (np.log(alpha / -np.log(share)) / beta))


def logistic(time: Values, alpha: Values, beta: Values, Fmax: Values) -> Values:
    """F = Fmax / (1 + exp(-(alpha + beta log10 t))); 0 at t = 0."""
    with np.errstate(over="ignore"):
        released = Fmax / (1 + np.exp(-(alpha + beta * _decades(time))))
    return np.where(time > 0, released, 0.0)


def logistic_time(level: Values, alpha: Values, beta: Values, Fmax: Values) -> Values:
    """log10 t = (ln(F / (Fmax - F)) - alpha) / beta."""
    share = _share(level, Fmax)
    with np.errstate(divide="ignore", over="ignore"):
        return _ever(10 ** ((np.log(share / (1 - share)) - alpha) / beta))


def burst_first_order(time: Values, burst: Values, k1: Values, Fmax: Values) -> Values:
    """F = Fmax (b + (1 - b)(1 - exp(-k1 t))) after time 0, with b = burst / 100."""
    share = burst / ALL
    return np.where(time > 0, Fmax * (share - (1 - share) * np.expm1(-k1 * time)), 0.0)


def burst_first_order_time(level: Values, burst: Values, k1: Values, Fmax: Values) -> Values:
    """0 for what the burst releases, then first order."""
    share, at_once = _share(level, Fmax), np.asarray(burst, float) / ALL
    with np.errstate(divide="ignore", invalid="ignore"):
        later = np.log((1 - at_once) / (1 - share))
    return _ever(np.where(share <= at_once, 0.0, _quotient(later, k1)))


def biphasic(time: Values, burst: Values, kburst: Values, k1: Values, Fmax: Values) -> Values:
    """F = Fmax (b (1 - exp(-kburst t)) + (1 - b)(1 - exp(-k1 t))), with b = burst / 100."""
    share = burst / ALL
    return np.asarray(
        -Fmax * (share * np.expm1(-kburst * time) + (1 - share) * np.expm1(-k1 * time))
    )


def biphasic_time(level: Values, burst: Values, kburst: Values, k1: Values, Fmax: Values) -> Values:
    """By halving the bracket of the slower and the faster phase, to the last digit."""
    level, burst, kburst, k1, Fmax = (
        np.array(one) for one in np.broadcast_arrays(level, burst, kburst, k1, Fmax)
    )
    rates = np.stack([kburst, k1])
    need = _first_order_age(level, Fmax)
    low, high = _quotient(need, rates.max(axis=0)), _quotient(need, rates.min(axis=0))
    known = np.isfinite(low) & np.isfinite(high)
    start, stop = np.where(known, low, 0.0), np.where(known, high, 0.0)
    for _ in range(80):  # 80 halvings leave nothing of a double's 53 digits
        middle = (start + stop) / 2
        early = biphasic(middle, burst, kburst, k1, Fmax) < level
        start, stop = np.where(early, middle, start), np.where(early, stop, middle)
    return np.where(known, (start + stop) / 2, np.inf)
