"""Emissions of radionuclides: energy and number per decay, by kind, and what becomes of progeny.

Energies and yields are those of ICRP Publication 107 (Ann. ICRP 38 (3), 2008, "Nuclear decay data
for dosimetric calculations"), restated in `emissions.csv` for the nuclides of nuclear medicine and
their progeny: of each kind the eight emissions that carry most energy, and the others joined by
decades of energy so that their number and their energy are kept (5 digits; what is left out
carries less than 2e-5 of its kind's energy).

    alpha      alpha particles                recoil   nuclei that recoil from alpha decay
    beta-      beta branches, at their mean   beta+    positron branches, at their mean
    electron   conversion and Auger           photon   gamma, X and annihilation
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from igdd.decay import Nuclide, chain, half_life_of, nuclide, table
from igdd.errors import InputError

KINDS = ("alpha", "recoil", "beta-", "beta+", "electron", "photon")
CHARGED = KINDS[:-1]
JOULE_PER_MEV = 1.602176634e-13
# Progeny that could be in equilibrium must be spoken for once it carries this share of the energy.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Emissions:
    """What leaves a nucleus, per decay of the nuclide named, with the progeny that is counted.

    kind       one of KINDS for each emission
    energy     MeV; of a beta branch its mean energy
    per_decay  number per decay of the nuclide named
    source     which member of the chain emits it
    counted    members of the chain with their decays per decay of the nuclide named
    left_out   progeny that is not counted
    """

    name: str
    kind: np.ndarray
    energy: np.ndarray
    per_decay: np.ndarray
    source: np.ndarray
    counted: tuple[tuple[str, float], ...]
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for values in (self.kind, self.energy, self.per_decay, self.source):
            values.setflags(write=False)

    def mean_energy(self, *kinds: str) -> float:
        """Energy of some kinds of emission in MeV per decay; all charged ones if none is named.

        >>> round(emissions("Y-90").mean_energy("beta-"), 3)
        0.933
        """
        wanted = kinds or CHARGED
        unknown = [kind for kind in wanted if kind not in KINDS]
        if unknown:
            raise InputError(f"kind of emission {unknown[0]!r}; expected one of {', '.join(KINDS)}")
        chosen = np.isin(self.kind, wanted)
        return float(np.sum(self.energy[chosen] * self.per_decay[chosen]))

    @property
    def charged(self) -> float:
        """Energy of alphas, recoils, betas and electrons in MeV per decay."""
        return self.mean_energy(*CHARGED)

    @property
    def photon(self) -> float:
        """Energy of gamma, X and annihilation photons in MeV per decay."""
        return self.mean_energy("photon")

    @property
    def local_dose_constant(self) -> float:
        """Gy g/(Bq s): the charged energy of a decay, left where it decays.

        >>> print(f"{emissions('Lu-177').local_dose_constant:.3e}")
        2.370e-11
        """
        return self.charged * JOULE_PER_MEV * 1e3

    @property
    def energy_of_all_decays(self) -> float:
        """J/Bq: charged energy until nothing is left of 1 Bq of the nuclide.

        >>> round(emissions("Y-90").energy_of_all_decays * 1e9, 1)  # J per GBq
        49.8
        """
        return self.charged * JOULE_PER_MEV / nuclide(self.name).rate

    def lines(self, *kinds: str) -> tuple[np.ndarray, np.ndarray]:
        """(energy in MeV, number per decay) of some kinds of emission, from high to low energy."""
        chosen = np.flatnonzero(np.isin(self.kind, kinds or CHARGED))
        order = chosen[np.argsort(-self.energy[chosen], kind="stable")]
        return self.energy[order], self.per_decay[order]


@lru_cache(maxsize=1)
def _table() -> dict[str, list[tuple[str, float, float]]]:
    """(kind, MeV, number per decay) of each nuclide."""
    text = files("igdd").joinpath("emissions.csv").read_text("utf-8")
    found: dict[str, list[tuple[str, float, float]]] = {}
    for row in csv.DictReader(text.splitlines()):
        line = (row["kind"], float(row["energy_MeV"]), float(row["per_decay"]))
        found.setdefault(row["nuclide"], []).append(line)
    return found


def known() -> tuple[str, ...]:
    """Nuclides whose emissions are known here."""
    return tuple(_table())


def emissions(name: str | Nuclide, daughters: str | Mapping[str, float] | None = None) -> Emissions:
    """Energies and numbers per decay of a nuclide, in MeV, with the progeny that is asked for.

    Parameters
    ----------
    name
        the nuclide, in any common spelling
    daughters
        "equilibrium": every member of the chain that lives shorter than the nuclide named decays
        where its source did, as often as the branching fractions say; a longer-lived member, and
        what only comes through it, is left out and named. "none": the nuclide alone, as when its
        progeny leaves at once. A mapping of nuclides to their decays per decay of the nuclide
        named. None is an error where such short-lived progeny carries more than 1 % of the energy:
        whether it stays is not a question of physics.

    >>> emissions("Ac-225", daughters="equilibrium").counted[:3]
    (('Ac-225', 1.0), ('Fr-221', 1.0), ('At-217', 1.0))
    """
    parent = name if isinstance(name, Nuclide) else nuclide(name)
    if parent.name not in _table():
        raise InputError(
            f"the emissions of {parent.name} are not in the table of this package; expected a "
            f"nuclide of nuclear medicine such as {', '.join(('F-18', 'Y-90', 'Lu-177'))}"
        )
    short, long = _in_equilibrium(parent)
    counted = _counted(parent, daughters, short)
    left_out = [member for member in (*short, *long) if member not in counted]
    found = _assembled(parent.name, counted, tuple(left_out))
    if daughters is None and short:
        _must_be_said(found, parent.name, short)
    return found


def _in_equilibrium(parent: Nuclide) -> tuple[dict[str, float], tuple[str, ...]]:
    """Progeny that lives shorter than the parent, with its decays per decay; the rest by name."""
    members = chain(parent)
    decays = {parent.name: 1.0}
    for member in members:
        if member.name not in decays:
            continue
        for child, fraction in member.progeny:
            half_life = table()[child].half_life
            if math.isfinite(half_life) and half_life < parent.half_life:
                decays[child] = decays.get(child, 0.0) + decays[member.name] * fraction
    del decays[parent.name]
    rest = tuple(m.name for m in members[1:] if m.name not in decays)
    return decays, rest


def _counted(
    parent: Nuclide, daughters: str | Mapping[str, float] | None, short: Mapping[str, float]
) -> dict[str, float]:
    alone = {parent.name: 1.0}
    if daughters is None or daughters == "none":
        return alone
    if daughters == "equilibrium":
        return alone | dict(short)
    if not isinstance(daughters, Mapping):
        raise InputError(
            f"daughters is {str(daughters)[:40]!r}; expected 'equilibrium', 'none' or the decays "
            "of each daughter per decay of the parent"
        )
    members = {member.name for member in chain(parent)[1:]}
    for written, number in daughters.items():
        child = nuclide(written).name
        if child not in members:
            raise InputError(f"daughters: {child} is not progeny of {parent.name}")
        if not (isinstance(number, int | float) and 0 <= number < math.inf):
            raise InputError(f"daughters: {child} has {number!r} decays; expected a number >= 0")
        alone[child] = float(number)
    return alone


def _assembled(name: str, counted: Mapping[str, float], left_out: tuple[str, ...]) -> Emissions:
    known_here = _table()
    silent = [member for member in counted if member not in known_here]
    if silent:
        raise InputError(f"the emissions of {silent[0]}, progeny of {name}, are not known here")
    rows = [
        (kind, energy, number * times, member)
        for member, times in counted.items()
        for kind, energy, number in known_here[member]
    ]
    kinds, energies, numbers, sources = zip(*rows, strict=True)
    return Emissions(
        name=name,
        kind=np.array(kinds),
        energy=np.array(energies),
        per_decay=np.array(numbers),
        source=np.array(sources),
        counted=tuple(counted.items()),
        left_out=left_out,
    )


def _must_be_said(alone: Emissions, name: str, short: Mapping[str, float]) -> None:
    """Refuse a chain whose progeny matters as long as nobody has said where it decays."""
    present = {m: n for m, n in short.items() if m in _table()}
    total = alone.charged + alone.photon
    theirs = {
        m: n * sum(energy * number for _, energy, number in _table()[m]) for m, n in present.items()
    }
    if sum(theirs.values()) <= NEGLIGIBLE * total:
        return
    half_life = half_life_of(name)
    listed = ", ".join(sorted(theirs, key=lambda m: -theirs[m])[:6])
    raise InputError(
        f"{name} (half-life {half_life:.4g} s) has short-lived progeny that carries "
        f"{sum(theirs.values()):.3g} MeV per decay ({listed}): say where it decays with daughters: "
        "'equilibrium' (where the parent did), 'none' (elsewhere), or decays per decay of the "
        "parent for each daughter"
    )
