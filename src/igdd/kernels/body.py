"""Body-size normalisers: lean body mass, ideal body mass and body surface area.

Weight in kg and height in cm, as the formulas were published; sex is "M", "F" or "O" (other), for
which the mean of both formulas is used, as the IBSI manual on SUV proposes for want of a consensus.
The names are those of DICOM's SUV Type (0054,1006), PS3.3 C.8.9.1.
"""

from __future__ import annotations

from collections.abc import Callable

from igdd.errors import InputError


def lean_body_mass_james128(weight: float, height: float, sex: str) -> float:
    """Lean body mass in kg by James, factor 128 for men (DICOM "LBMJAMES128").

    M: 1.10 W - 128 (W/H)^2, F: 1.07 W - 148 (W/H)^2. It turns over in obesity: beyond
    a body mass index of 43 (M) or 36 (F) a heavier body is given a smaller lean mass.
    Source: W. James and J. Waterlow, Research on obesity, HMSO 1976.

    >>> round(lean_body_mass_james128(70.0, 175.0, "M"), 2)
    56.52
    """
    return _by_sex(
        sex,
        lambda: 1.10 * weight - 128 * (weight / height) ** 2,
        lambda: 1.07 * weight - 148 * (weight / height) ** 2,
    )


def lean_body_mass_morgan120(weight: float, height: float, sex: str) -> float:
    """Lean body mass in kg by Morgan, factor 120 for men (DICOM "LBM").

    M: 1.10 W - 120 (W/H)^2, F: 1.07 W - 148 (W/H)^2. Source: D. Morgan and K. Bray, Clin.
    Pharmacokinet. 26 (1994) 292, as Y. Sugawara et al., Radiology 213 (1999) 521, report it.

    >>> round(lean_body_mass_morgan120(75.0, 185.0, "M"), 5)
    62.77757
    """
    return _by_sex(
        sex,
        lambda: 1.10 * weight - 120 * (weight / height) ** 2,
        lambda: 1.07 * weight - 148 * (weight / height) ** 2,
    )


def lean_body_mass_janmahasatian(weight: float, height: float, sex: str) -> float:
    """Lean body mass in kg by Janmahasatian (DICOM "LBMJANMA"), which stays sound in obesity.

    M: 9270 W / (6680 + 216 BMI), F: 9270 W / (8780 + 244 BMI), BMI in kg/m2.
    Source: S. Janmahasatian et al., Clin. Pharmacokinet. 44 (2005) 1051.

    >>> round(lean_body_mass_janmahasatian(75.0, 185.0, "F"), 5)
    49.21438
    """
    index = weight / (height / 100) ** 2
    return _by_sex(
        sex,
        lambda: 9270 * weight / (6680 + 216 * index),
        lambda: 9270 * weight / (8780 + 244 * index),
    )


def ideal_body_mass(height: float, sex: str) -> float:
    """Ideal body mass in kg from height in cm (DICOM "IBW").

    M: 48.0 + 1.06 (H - 152), F: 45.5 + 0.91 (H - 152). Not meant for children: it falls to zero
    near 1.05 m. Source: Y. Sugawara et al., Radiology 213 (1999) 521.

    >>> ideal_body_mass(152.0, "O")
    46.75
    """
    return _by_sex(sex, lambda: 48.0 + 1.06 * (height - 152), lambda: 45.5 + 0.91 * (height - 152))


def body_surface_area(weight: float, height: float) -> float:
    """Body surface area in cm2 by Du Bois: 71.84 W^0.425 H^0.725.

    Source: D. Du Bois and E. Du Bois, Arch. Intern. Med. 17 (1916) 863.

    >>> round(body_surface_area(75.0, 185.0), 3)
    19813.758
    """
    _check_positive(weight, height)
    return float(71.84 * weight**0.425 * height**0.725)


def _by_sex(sex: str, male: Callable[[], float], female: Callable[[], float]) -> float:
    formulas = {"M": (male,), "F": (female,), "O": (male, female)}
    if sex not in formulas:
        raise InputError(f"sex is {sex!r}; expected M, F or O, since the formula depends on it")
    try:
        values = [formula() for formula in formulas[sex]]
    except ZeroDivisionError as error:
        raise InputError("height is 0; expected the height in cm") from error
    mean = sum(values) / len(values)
    if not mean > 0:
        raise InputError(
            f"the body-size formula gives {mean:.4g} kg; expected > 0: it does not hold for such a "
            "body; check weight and height, or choose another normaliser"
        )
    return mean


def _check_positive(weight: float, height: float) -> None:
    if not (weight > 0 and height > 0):
        raise InputError(f"weight is {weight} kg and height {height} cm; expected both > 0")
