"""Two compartments in exchange: rate constants to exponentials, and back.

An input fills the first compartment by K1; k2 leads out of it, k3 into the second and k4 back.
What both hold after a unit impulse is

    a1 exp(-theta1 t) + a2 exp(-theta2 t),    theta1 <= theta2

with theta1 + theta2 = k2 + k3 + k4, theta1 theta2 = k2 k4, a1 + a2 = K1 and
a1 theta1 + a2 theta2 = K1 k2. Coefficients and rates that are not negative give rate constants that
are not negative, and the other way round, so that either may be fitted.
Gunn, Gunn and Cunningham, J Cereb Blood Flow Metab 2001;21:635.
"""

from __future__ import annotations

import numpy as np


def exponentials(
    K1: np.ndarray, k2: np.ndarray, k3: np.ndarray, k4: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(a1, theta1, a2, theta2) of rate constants; theta in the unit of k2, a in that of K1.

    >>> one = np.ones(1)
    >>> [float(x[0].round(6)) for x in exponentials(one, 0.5 * one, 0.3 * one, 0.1 * one)]
    [0.435982, 0.059488, 0.564018, 0.840512]
    """
    total = k2 + k3 + k4
    apart = np.sqrt((k2 - k4) ** 2 + k3 * (k3 + 2 * (k2 + k4)))
    fast = (total + apart) / 2
    # The product is known: a difference would lose the digits of a slow rate beside a fast one.
    slow = np.divide(k2 * k4, fast, out=np.zeros_like(fast), where=fast != 0)
    lasting = np.divide(k3 + k4 - slow, apart, out=np.zeros_like(fast), where=apart != 0) * K1
    return lasting, slow, K1 - lasting, fast


def rate_constants(
    a1: np.ndarray, theta1: np.ndarray, a2: np.ndarray, theta2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(K1, k2, k3, k4) of exponentials; NaN where K1 or k2 is 0 and leaves the rest open.

    >>> one = np.ones(1)
    >>> found = rate_constants(0.435982 * one, 0.059488 * one, 0.564018 * one, 0.840512 * one)
    >>> [float(x[0].round(4)) for x in found]
    [1.0, 0.5, 0.3, 0.1]
    """
    K1 = a1 + a2
    out = a1 * theta1 + a2 * theta2
    with np.errstate(divide="ignore", invalid="ignore"):
        k2 = out / K1
        k4 = theta1 * theta2 / k2
        # theta1 + theta2 - k2 - k4, written so that nothing cancels.
        k3 = a1 * a2 * (theta2 - theta1) ** 2 / (K1 * out)
    return K1, k2, k3, k4
