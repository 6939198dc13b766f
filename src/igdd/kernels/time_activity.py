"""Physical activity over time: the only thing that is integrated to a number of decays.

Images and counters often give activity corrected for decay to an instant. Integrating that counts
decays that never happened; correcting twice loses some that did. So there is one door: `physical`,
which must be told the state, applies decay where it was taken out, and gives a type of its own,
which the door does not take in again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError

# Times and rates beyond which a factor of decay has no finite number.
MOST_HALF_LIVES = 500.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PhysicalActivity:
    """Activity that was there, not corrected for decay, of n regions at the same times.

    time   (t,) after administration, ascending, at least 0
    value  (n, t) in any unit of activity
    sd     (n, t) random standard deviation; NaN where it is not known
    rate   decay constant of the nuclide, 1/unit of time
    """

    time: np.ndarray
    value: np.ndarray
    sd: np.ndarray
    rate: float

    def __post_init__(self) -> None:
        if self.value.ndim != 2 or self.value.shape[1] != self.time.size or not self.time.size:
            raise InputError(
                f"activity of shape {self.value.shape} at {self.time.size} times; "
                "expected (regions, times)"
            )
        if self.sd.shape != self.value.shape:
            raise InputError(f"sd of shape {self.sd.shape}; expected {self.value.shape}")
        if not np.isfinite(self.time).all() or self.time.min() < 0:
            raise InputError("a time is negative or not a number; expected times after giving")
        if (np.diff(self.time) <= 0).any():
            raise InputError("times must ascend, each once; average activities of the same time")
        if not 0 < self.rate < np.inf:
            raise InputError(f"decay constant {self.rate}; expected a finite one above zero")
        if not self.time[-1] * self.rate / np.log(2) <= MOST_HALF_LIVES:
            raise InputError(
                f"the last time is {self.time[-1] * self.rate / np.log(2):.3g} half-lives after "
                "giving; nothing is left to measure; check the unit of time and the nuclide"
            )
        if (self.sd < 0).any():
            raise InputError("a standard deviation is negative; expected at least 0")
        for values in (self.time, self.value, self.sd):
            values.setflags(write=False)


def physical(
    time: np.ndarray,
    value: np.ndarray,
    sd: np.ndarray | None,
    *,
    rate: float,
    corrected_to: float | str | None,
) -> PhysicalActivity:
    """Physical activity from activity in a stated state of decay correction.

    corrected_to  "none": the activity at each time, as it was; a number: the instant, on the clock
                  of `time`, to which all values are corrected (0: administration). None, not
                  known, is an error: the integral would be off by a factor that nobody sees.

    >>> hours = np.array([0.0, 10.0])
    >>> found = physical(hours, np.array([[8.0, 8.0]]), None, rate=np.log(2) / 10, corrected_to=0.0)
    >>> found.value.round(12)
    array([[8., 4.]])
    """
    if isinstance(value, PhysicalActivity):
        raise InputError("this activity is physical already; decay must not be applied twice")
    if corrected_to is None:
        raise InputError(
            "nothing says whether the activity is corrected for decay; expected 'none' or the "
            "instant to which it is corrected; a dose cannot be had from an unknown state"
        )
    time = np.array(time, dtype=float)
    value = np.atleast_2d(np.array(value, dtype=float))
    spread = np.full(value.shape, np.nan)
    if sd is not None:
        spread = np.array(np.broadcast_to(np.atleast_2d(np.asarray(sd, dtype=float)), value.shape))
    if isinstance(corrected_to, str):
        if corrected_to != "none":
            raise InputError(f"corrected_to is {corrected_to[:40]!r}; expected 'none' or a time")
        left = np.ones(time.shape)
    else:
        exponent = -rate * (time - float(corrected_to))
        if not (np.abs(exponent) <= MOST_HALF_LIVES).all():
            raise InputError(
                f"activity corrected to {corrected_to:g} spans {np.abs(exponent).max():.3g} mean "
                "lives; check the times and the nuclide"
            )
        left = np.exp(exponent)
    return PhysicalActivity(time=time, value=value * left, sd=spread * left, rate=float(rate))
