"""Radioactive decay: nuclides, decay correction and chains. Nobody else multiplies by exp.

Half-lives and branching fractions are those of ICRP Publication 107 (Ann. ICRP 38 (3), 2008,
"Nuclear decay data for dosimetric calculations"), restated in `nuclides.csv` in the unit of the
publication, for the nuclides of nuclear medicine and every progeny of theirs down to stability.
A year is 365.2422 days. Positron yields (positrons per decay) are given where they are known.
A header's or a study's own half-life wins; `half_life_check` tells when it differs.
"""

from __future__ import annotations

import csv
import decimal
import difflib
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike

from igdd.errors import InputError

YEAR = 365.2422 * 86400.0
UNITS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "y": YEAR,
    "ky": 1e3 * YEAR, "My": 1e6 * YEAR, "By": 1e9 * YEAR, "Ty": 1e12 * YEAR, "Py": 1e15 * YEAR,
}  # fmt: skip

# English element names by symbol, as radionuclide meanings in DICOM headers spell them.
_NAMES = """
    H:hydrogen He:helium Li:lithium Be:beryllium B:boron C:carbon N:nitrogen O:oxygen F:fluorine
    Ne:neon Na:sodium Mg:magnesium Al:aluminium Si:silicon P:phosphorus S:sulfur Cl:chlorine
    Ar:argon K:potassium Ca:calcium Sc:scandium Ti:titanium V:vanadium Cr:chromium Mn:manganese
    Fe:iron Co:cobalt Ni:nickel Cu:copper Zn:zinc Ga:gallium Ge:germanium As:arsenic Se:selenium
    Br:bromine Kr:krypton Rb:rubidium Sr:strontium Y:yttrium Zr:zirconium Nb:niobium Mo:molybdenum
    Tc:technetium Ru:ruthenium Rh:rhodium Pd:palladium Ag:silver Cd:cadmium In:indium Sn:tin
    Sb:antimony Te:tellurium I:iodine Xe:xenon Cs:caesium Ba:barium La:lanthanum Ce:cerium
    Pr:praseodymium Nd:neodymium Pm:promethium Sm:samarium Eu:europium Gd:gadolinium Tb:terbium
    Dy:dysprosium Ho:holmium Er:erbium Tm:thulium Yb:ytterbium Lu:lutetium Hf:hafnium Ta:tantalum
    W:tungsten Re:rhenium Os:osmium Ir:iridium Pt:platinum Au:gold Hg:mercury Tl:thallium Pb:lead
    Bi:bismuth Po:polonium At:astatine Rn:radon Fr:francium Ra:radium Ac:actinium Th:thorium
    Pa:protactinium U:uranium Np:neptunium Pu:plutonium Am:americium
"""
ELEMENTS = dict(pair.split(":") for pair in _NAMES.split())
_SYMBOLS = {name: symbol for symbol, name in ELEMENTS.items()}
_SYMBOLS |= {symbol.lower(): symbol for symbol in ELEMENTS}
_SYMBOLS |= {"aluminum": "Al", "cesium": "Cs", "sulphur": "S", "flourine": "F", "tritium": "H"}
_MASS_FIRST = re.compile(r"([0-9]{1,3})([mnMN])?([A-Za-z]{1,13})")
_MASS_LAST = re.compile(r"([A-Za-z]{1,13})([0-9]{1,3})([mnMN])?")


@dataclass(frozen=True)
class Nuclide:
    """A nuclide: half-life in s (infinite when stable), progeny with branching fractions.

    positron_fraction  positrons per decay; NaN where it is not known here
    """

    name: str
    half_life: float
    progeny: tuple[tuple[str, float], ...] = ()
    positron_fraction: float = math.nan

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise InputError(f"half-life of {self.name} is {self.half_life} s; expected > 0")

    @property
    def rate(self) -> float:
        """Decay constant in 1/s."""
        return math.log(2) / self.half_life


@lru_cache(maxsize=1)
def table() -> dict[str, Nuclide]:
    """All nuclides known here, by name ("Tc-99m"), stable ends of chains included."""
    text = files("igdd").joinpath("nuclides.csv").read_text("utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        stable = row["half_life"] == "stable"
        progeny = [branch.split(":") for branch in row["progeny"].split()]
        found[row["nuclide"]] = Nuclide(
            name=row["nuclide"],
            half_life=math.inf if stable else float(row["half_life"]) * UNITS[row["unit"]],
            progeny=tuple((name, float(fraction)) for name, fraction in progeny),
            positron_fraction=float(row["positron_fraction"] or "nan"),
        )
    return found


def nuclide(name: str) -> Nuclide:
    """The nuclide of a name in any common spelling; half-life in s by ICRP-107.

    Mass and element may stand in either order, with hyphens, carets, blanks or brackets between,
    the element by symbol or English name, and a metastable state by m or n. An unknown name is an
    error that lists close ones.

    >>> nuclide("^18^Fluorine").half_life
    6586.2
    >>> nuclide("99mTc").name, nuclide("Technetium-99m").name, nuclide("tc 99 m").name
    ('Tc-99m', 'Tc-99m', 'Tc-99m')
    """
    if not isinstance(name, str):
        raise InputError(f"nuclide is {name!r}; expected a name such as 'F-18'")
    known = table()
    if name in known:
        return known[name]
    candidates = sorted({match for match in _spellings(name) if match in known})
    if len(candidates) == 1:
        return known[candidates[0]]
    if candidates:
        raise InputError(f"nuclide {name!r} may mean {' or '.join(candidates)}; write one of them")
    guesses = _spellings(name) or [name[:20]]
    close = {near for guess in guesses for near in difflib.get_close_matches(guess, known, n=4)}
    raise InputError(
        f"nuclide {name[:60]!r} is not in the ICRP-107 table; expected a name such as 'F-18'"
        + (f"; close names: {', '.join(sorted(close))}" if close else "")
    )


def _spellings(text: str) -> list[str]:
    """Table names that a text can stand for, before asking whether they exist."""
    if len(text) > 64:
        return []
    # DICOM meanings repeat themselves: "F^18^[^18^Fluorine]" holds the nuclide twice.
    parts = [part for part in re.split(r"[\[\]()]", text) if re.search(r"\d", part)]
    readings = [_readings(re.sub(r"[\s\-_^*/]", "", part)) for part in parts] or [[]]
    return [name for name in readings[0] if all(name in other for other in readings)]


def _readings(compact: str) -> list[str]:
    """Names of one compact spelling such as "99mTc", "Tc99m", "99Tcm", "52mn"."""
    if match := _MASS_LAST.fullmatch(compact):
        splits = [(match[1], match[2], match[3] or "")]
    elif match := _MASS_FIRST.fullmatch(compact):
        splits = [(match[3], match[1], match[2] or "")]
        if match[2]:  # the m of "52Mn" written "52mn" belongs to the element
            splits.append((match[2] + match[3], match[1], ""))
        elif match[3][-1:] == "m":  # the older "99Tcm"
            splits.append((match[3][:-1], match[1], "m"))
    else:
        return []
    return [
        f"{_SYMBOLS[element.lower()]}-{mass}{state.lower()}"
        for element, mass, state in splits
        if element.lower() in _SYMBOLS
    ]


def half_life_of(source: float | str | Nuclide) -> float:
    """Half-life in s of a nuclide, its name, or a number that already is one."""
    if isinstance(source, Nuclide):
        return source.half_life
    if isinstance(source, str):
        return nuclide(source).half_life
    if not source > 0:
        raise InputError(f"half-life is {source} s; expected > 0")
    return float(source)


def half_life_check(name: str, stated: float) -> bool:
    """Whether a stated half-life in s differs from ICRP-107 by more than 0.1 %.

    >>> half_life_check("Ga-68", 4080.0), half_life_check("F-18", 6588.0)
    (True, False)
    """
    return not abs(half_life_of(stated) / nuclide(name).half_life - 1) <= 1e-3


def _exponential(exponent: np.ndarray) -> np.ndarray:
    if np.any(exponent > 700):
        raise InputError(
            f"decay over {np.max(exponent) / math.log(2):.3g} half-lives back in time has no "
            "finite factor; check the times and the nuclide"
        )
    return np.asarray(np.exp(exponent))


def activity(activity0: ArrayLike, half_life: float | str | Nuclide, t: ArrayLike) -> np.ndarray:
    """Activity a time `t` [s] later, in the unit of `activity0`; the parent only, not its progeny.

    activity0 * exp(-ln(2) t / half_life). `t` may be negative (earlier).

    >>> activity(400.0, "Cu-64", np.array([24, 48]) * 3600.0).round(2)
    array([107.94,  29.13])
    >>> print(round(activity(400e6, "Cu-64", 24 * 3600) / 1e6, 2))
    107.94
    """
    rate = math.log(2) / half_life_of(half_life)
    left = _exponential(-rate * np.asarray(t, float))
    found: np.ndarray = (np.asarray(activity0, float) * left)[()]  # numbers in, a number out
    return found


def decay_factor(
    half_life: float | str | Nuclide, start: ArrayLike, duration: ArrayLike
) -> np.ndarray:
    """Factor that corrects a frame's mean activity to time zero [all in s].

    Exact for any length: exp(rate * start) * rate * duration / (1 - exp(-rate * duration)). A
    duration of 0 is an instant sample: exp(rate * start).

    >>> decay_factor(6586.2, np.array([0.0]), np.array([600.0])).round(4)
    array([1.0319])
    """
    rate = math.log(2) / half_life_of(half_life)
    start, duration = np.broadcast_arrays(np.asarray(start, float), np.asarray(duration, float))
    if not np.all(duration >= 0) or not np.all(np.isfinite(duration)):
        raise InputError(f"a frame lasts {np.min(duration)} s; expected a finite duration >= 0")
    passed = rate * duration
    decayed = -np.expm1(-passed)
    within = np.divide(passed, decayed, out=np.ones_like(passed), where=decayed > 0)
    found: np.ndarray = (_exponential(rate * start) * within)[()]  # numbers in, a number out
    return found


def correction(
    half_life: float | str | Nuclide,
    start: ArrayLike,
    duration: ArrayLike,
    found: float | None,
    wanted: float | None,
) -> np.ndarray:
    """Factor per frame from one state of decay correction to another [all in s].

    `found` and `wanted` are instants on the frames' own clock to which values are, and shall be,
    corrected; None is the mean over each frame, not corrected. Because the present state is always
    named, applying it to values that are already there gives 1, never a second correction.

    >>> correction("F-18", [0.0, 600.0], [600.0, 600.0], found=None, wanted=0.0).round(4)
    array([1.0319, 1.0992])
    >>> correction("F-18", [0.0, 600.0], [600.0, 600.0], found=0.0, wanted=3600.0).round(4)
    array([0.6846, 0.6846])
    """
    start, duration = np.broadcast_arrays(np.asarray(start, float), np.asarray(duration, float))
    if found == wanted:
        return np.ones(start.shape)
    if found is None:
        return decay_factor(half_life, start - (wanted or 0.0), duration)
    if wanted is None:
        return 1 / decay_factor(half_life, start - found, duration)
    return np.full(start.shape, activity(1.0, half_life, wanted - found))


def chain(parent: str | Nuclide) -> tuple[Nuclide, ...]:
    """The radioactive members of a chain, each after all of its sources; stable ends left out."""
    known = table()
    first = parent if isinstance(parent, Nuclide) else nuclide(parent)
    order: list[Nuclide] = []

    def visit(member: Nuclide) -> None:
        if member in order or math.isinf(member.half_life):
            return
        for name, _ in member.progeny:
            if name not in known:
                raise InputError(f"{name}, progeny of {member.name}, is not in the nuclide table")
            visit(known[name])
        order.append(member)

    visit(first)
    if not order:
        raise InputError(f"{first.name} is stable; a chain starts at a radioactive nuclide")
    return tuple(reversed(order))


def chain_activities(parent: str | Nuclide, activity0: float, t: float) -> dict[str, float]:
    """Activity of every radioactive member of a chain, `t` [s] after the pure parent was alone.

    Bateman's solution in the recursive form for branching chains (N, atoms; L, decay constants;
    b, branching fractions; i runs over the members before j, k over the sources of j):

        N_j(t) = sum_i c_ji exp(-L_i t),  c_ji = sum_k b_kj L_k c_ki / (L_j - L_i),
        c_jj = N_j(0) - sum_i c_ji.

    Its terms cancel for short times, long-lived parents of short-lived progeny and half-lives that
    are close, so it is evaluated in decimal arithmetic with ever more digits until two rounds
    agree to 1e-13. Equal half-lives are parted by less than that agreement can see.
    Source: H. Bateman, Proc. Cambridge Phil. Soc. 15 (1910) 423.

    >>> {k: round(v, 6) for k, v in chain_activities("Ge-68", 1.0, 86400.0).items()}
    {'Ge-68': 0.997445, 'Ga-68': 0.997618}
    """
    if not (math.isfinite(t) and t >= 0 and math.isfinite(activity0)):
        raise InputError(f"chain at t = {t} s from {activity0} Bq; expected finite numbers, t >= 0")
    members = chain(parent)
    names = [member.name for member in members]
    if t == 0:
        return dict(zip(names, [float(activity0)] + [0.0] * (len(names) - 1), strict=True))
    # For short times a member k steps down grows as (rate t)^k: all of that cancels. Beyond 400
    # digits it has vanished in double precision.
    slow = min(math.log10(member.rate) + math.log10(t) for member in members)
    digits = 60 + min(int(len(members) * max(0.0, -slow)), 400)
    previous = _bateman(members, t, digits)
    while True:
        digits *= 2
        shares = _bateman(members, t, digits)
        if all(map(_agree, shares, previous)):
            values = [float(share * Decimal(activity0)) + 0.0 for share in shares]  # no -0.0
            return dict(zip(names, values, strict=True))
        previous = shares


def _agree(one: Decimal, other: Decimal) -> bool:
    """Whether two rounds agree to 1e-13, or both vanish in double precision."""
    return abs(one - other) <= abs(one) * Decimal("1e-13") + Decimal("1e-345")


def _bateman(members: tuple[Nuclide, ...], t: float, digits: int) -> list[Decimal]:
    """Activities of a chain per activity of the parent at time zero, with so many digits."""
    context = decimal.Context(prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
    with decimal.localcontext(context):
        rates = _distinct([Decimal(2).ln() / Decimal(member.half_life) for member in members])
        position = {member.name: j for j, member in enumerate(members)}
        count = len(members)
        terms = [[Decimal(0)] * count for _ in members]
        terms[0][0] = 1 / rates[0]
        for j, member in enumerate(members):
            if j:
                terms[j][j] = -sum(terms[j], Decimal(0))
            for name, fraction in member.progeny:
                target = position.get(name)
                if target is None:
                    continue
                feed = Decimal(fraction) * rates[j]
                for i in range(j + 1):
                    terms[target][i] += feed * terms[j][i] / (rates[target] - rates[i])
        left = [(-rate * Decimal(t)).exp() for rate in rates]
        return [
            rate * sum((c * e for c, e in zip(row, left, strict=True)), Decimal(0))
            for rate, row in zip(rates, terms, strict=True)
        ]


def _distinct(rates: list[Decimal]) -> list[Decimal]:
    """Rates with equal ones parted by a third of the digits in use."""
    offset = Decimal(10) ** -(decimal.getcontext().prec // 3)
    parted: list[Decimal] = []
    for rate in rates:
        while rate in parted:
            rate *= 1 + offset
        parted.append(rate)
    return parted
