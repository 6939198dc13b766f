"""From decays to dose, and what it depends on: sums over sources, mass, marrow, species, doubt.

Arrays in, arrays out; doses in Gy where decays are numbers and S is in Gy per decay.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError

# Share of red marrow that is extracellular fluid: Sgouros, J Nucl Med 1993;34:689.
EXTRACELLULAR = 0.19
# Exponent by which times scale with body weight between species.
TIME_POWER = 0.25


def mird_sum(s_values: np.ndarray, decays: np.ndarray) -> np.ndarray:
    """Doses (target,) of S values (target, source) in Gy per decay and decays (source,).

    MIRD Pamphlet 21 (Bolch et al., J Nucl Med 2009;50:477). A missing S value (NaN) makes the dose
    of its target unknown, unless its source has no decays.

    >>> mird_sum(np.array([[2e-12, 1e-13], [1e-13, 4e-12]]), np.array([1e12, 1e11])).round(3)
    array([2.01, 0.5 ])
    """
    parts = np.where(decays == 0, 0.0, s_values * decays)
    return np.asarray(parts.sum(axis=1))


def scaled_to_mass(s_value: np.ndarray, reference: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Self S value of a patient's organ from that of a reference: S m_ref / m.

    Exact for what stays where it is sent out (electrons, alphas); for photons an organ that is
    twice as heavy keeps more, and S falls less, about as m^(-2/3).

    >>> scaled_to_mass(np.array([1e-12]), np.array([310.0]), np.array([155.0]))
    array([2.e-12])
    """
    if not (np.all(np.asarray(reference) > 0) and np.all(np.asarray(mass) > 0)):
        raise InputError("S values scale by masses; expected both above 0 g")
    return np.asarray(s_value * reference / mass)


def marrow_to_blood(hematocrit: float) -> float:
    """Red marrow to blood ratio of activity concentrations, RMBLR = 0.19 / (1 - Hct).

    For agents that marrow does not take up (Sgouros 1993).

    >>> round(marrow_to_blood(0.42), 4)
    0.3276
    """
    if not 0 <= hematocrit < 0.8:
        raise InputError(f"haematocrit is {hematocrit:g}; expected a share such as 0.42")
    return EXTRACELLULAR / (1 - hematocrit)


def to_human(
    per_gram: np.ndarray, body_mouse: float, organ_human: float, body_human: float
) -> np.ndarray:
    """%IA in a human organ from %IA/g in a mouse's: by the organ's share of the body.

    (%IA)_human = (%IA/g)_mouse BW_mouse (m_organ / BW)_human, all masses in g. Kirschner et al.,
    J Nucl Med 1975;16:248. Uptake per gram relative to the body is taken to be that of the mouse,
    which no measurement of the mouse can show.

    >>> to_human(np.array([5.0]), 25.0, 1800.0, 73000.0).round(3)
    array([3.082])
    """
    if not (body_mouse > 0 and organ_human > 0 and body_human > 0):
        raise InputError("masses of bodies and organs must be above 0 g")
    if organ_human > body_human:
        raise InputError(f"an organ of {organ_human:g} g in a body of {body_human:g} g")
    return np.asarray(per_gram * body_mouse * organ_human / body_human)


def human_time(time: np.ndarray, body_mouse: float, body_human: float) -> np.ndarray:
    """Time in a human that stands for a time in a mouse: t (BW_human / BW_mouse)^0.25.

    >>> human_time(np.array([1.0]), 25.0, 70000.0).round(2)
    array([7.27])
    """
    if not (body_mouse > 0 and body_human > 0):
        raise InputError("body weights must be above 0 g")
    return np.asarray(time * (body_human / body_mouse) ** TIME_POWER)


def dose_cv(
    fit: np.ndarray,
    volume: np.ndarray,
    *,
    calibration: float = 0.0,
    recovery: float = 0.0,
    elasticity: float = 0.0,
    mass_power: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, float]:
    """Relative standard deviation (n,) of a dose, and the part that all regions share.

    fit         of the time-integrated activity, from measurements and model
    volume      of the volume of which the mass is made
    calibration of the scanner to the dose calibrator: shared by all regions
    recovery    of the recovery coefficient, each region its own
    elasticity  d ln A / d ln V of the activity: 0 where the outline does not decide what is
                counted, 1 where the activity grows with the volume drawn; a wider outline then
                raises activity and mass together, and the dose does not change
    mass_power  -d ln S / d ln m, 1 for what stays where it is sent out

    u(D)^2 = u(fit)^2 + u(cal)^2 + u(rec)^2 + (elasticity - mass_power)^2 u(V)^2: the volume's two
    effects on the dose are one error, and partly cancel. Gear et al. (EANM practical guidance on
    uncertainty analysis), Eur J Nucl Med Mol Imaging 2018;45:2456.

    >>> cv, shared = dose_cv(np.array([0.06]), np.array([0.10]), calibration=0.03, elasticity=0.7)
    >>> cv.round(4), shared
    (array([0.0735]), 0.03)
    """
    for name, value in (("calibration", calibration), ("recovery", recovery)):
        if not 0 <= value < 1:
            raise InputError(f"relative sd of the {name} is {value:g}; expected a share below 1")
    if not 0 <= elasticity <= 2:
        raise InputError(f"elasticity of the activity is {elasticity:g}; expected 0 to 1")
    both = (elasticity - np.asarray(mass_power)) * volume
    own = np.sqrt(np.asarray(fit) ** 2 + recovery**2 + both**2)
    return np.asarray(np.hypot(own, calibration)), calibration
