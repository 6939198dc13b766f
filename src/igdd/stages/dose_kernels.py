"""Dose kernels: computed from a nuclide's emissions, or read from a table of voxel S values.

A kernel is the dose in Gy to every voxel around one in which one Bq s decays. Own kernels hold what
betas, conversion and Auger electrons leave in water of a stated density, alpha particles and recoil
where they start. Photons have a kernel of their own, up to a distance that the caller says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import emissions as decays
from igdd.decay import ELEMENTS, nuclide
from igdd.emissions import JOULE_PER_MEV, Emissions
from igdd.errors import InputError
from igdd.io import voxel_s_table

if TYPE_CHECKING:
    from igdd.kernels.electron_tracks import Radial

CHARGE = {symbol: number for number, symbol in enumerate(ELEMENTS, start=1)}
# Branches that are first forbidden and unique (spins 0 or 2 apart by parity) and carry most of
# their nuclide's beta energy, by their mean energy in MeV. Tc-99's is second forbidden, alike.
UNIQUE = {
    "Y-90": 0.9330, "Y-91": 0.6045, "Sr-89": 0.5846, "Sr-90": 0.1957, "Tc-99": 0.1013,
    "Ho-166": 0.6509, "Pr-142": 0.8341, "I-124": 0.9748, "Tb-152": 1.3360,
}  # fmt: skip
HISTORIES = 50_000
FEWEST = 20
# A table prints the side of its voxels to two decimals or so.
SAME_SIDE = 2e-3
# Share of a kernel's energy within the radius that stands for its range.
RANGE_SHARE = 0.9
METHODS = ("auto", "kernel", "local")


@dataclass(frozen=True, kw_only=True, eq=False)
class DoseKernel:
    """Dose in Gy/(Bq s) around a voxel.

    values   (odd, odd, odd), the source in the middle; `sides` (3,) of the voxels in mm
    density  of the medium in g/mL; NaN where a table does not state it
    origin   "own" or "table"; `photons` whether it holds what photons leave
    """

    nuclide: str
    values: np.ndarray
    sides: np.ndarray
    density: float
    medium: str
    origin: str
    photons: bool
    source: str = ""

    @property
    def energy(self) -> float:
        """Energy in MeV per decay that the kernel holds, for its own density."""
        mass = self.density * float(np.prod(self.sides)) * 1e-6  # kg
        return float(self.values.sum()) * mass / JOULE_PER_MEV


def energy_around(
    name: str, daughters: str | None = None, histories: int = HISTORIES, seed: int = 1
) -> Radial:
    """Energy in MeV per decay that charged particles leave around a point in water [g/cm2].

    Its sum is the charged energy of `igdd.emissions`, to rounding. The same seed gives the same
    bytes.
    """
    return _energy_around(nuclide(name).name, daughters, histories, seed)


@lru_cache(maxsize=32)
def _energy_around(name: str, daughters: str | None, histories: int, seed: int) -> Radial:
    from igdd.kernels.electron_tracks import Radial, radial

    if histories < 1000:
        raise InputError(f"{histories} histories; expected 1000 or more")
    found = decays.emissions(name, daughters)
    energy, weight = electrons(found, histories)
    around = radial(energy, weight, seed)
    held = around.energy.copy()
    held[0] += found.mean_energy("alpha", "recoil")
    held.setflags(write=False)
    around.radius.setflags(write=False)
    return Radial(radius=around.radius, energy=held)


def electrons(found: Emissions, histories: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies in MeV and weights of electrons that stand for those of a decay.

    Each line and branch has electrons in proportion to the energy it carries; those of a beta
    branch stand at equal steps of its cumulative spectrum, and are weighted so that its mean energy
    is kept.
    """
    chosen = np.isin(found.kind, ("beta-", "beta+", "electron"))
    total = float(np.sum(found.energy[chosen] * found.per_decay[chosen]))
    if not total > 0:  # nothing but alpha particles and photons
        return np.empty(0), np.empty(0)
    energies, weights = [np.empty(0)], [np.empty(0)]
    for place in np.flatnonzero(chosen):
        energy, number = float(found.energy[place]), float(found.per_decay[place])
        count = max(FEWEST, round(histories * energy * number / total))
        kind = str(found.kind[place])
        if kind == "electron":
            some = np.full(count, energy)
        else:
            some = _branch(energy, str(found.source[place]), kind, count)
        energies.append(some)
        weights.append(np.full(count, number / count * energy / some.mean()))
    return np.concatenate(energies), np.concatenate(weights)


def _branch(mean: float, source: str, kind: str, count: int) -> np.ndarray:
    """Energies in MeV at equal steps of the cumulative spectrum of a beta branch."""
    from igdd.kernels.beta_spectrum import end_point_of, spectrum

    charge = CHARGE[source.partition("-")[0]]
    left = charge + 1 if kind == "beta-" else -(charge - 1)
    unique = abs(mean / UNIQUE.get(source, np.inf) - 1) < 5e-3
    end = end_point_of(mean, left, unique)
    energy, share = spectrum(end, left, unique)
    border = np.linspace(0, end, energy.size + 1)
    passed = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray(np.interp((np.arange(count) + 0.5) / count, passed / passed[-1], border))


def own_kernel(
    name: str,
    sides: np.ndarray,
    density: float,
    daughters: str | None = None,
    *,
    histories: int = HISTORIES,
    seed: int = 1,
) -> DoseKernel:
    """Kernel for voxels of sides (3,) in mm in water of a density in g/mL.

    A medium is water with its density: soft tissue to 2 % of the range, bone not.
    """
    from igdd.kernels.voxel_kernel import voxel_kernel

    check_density(density)
    sides = np.asarray(sides, dtype=float)
    around = energy_around(name, daughters, histories, seed)
    energy = voxel_kernel(around, sides / 10 * density)
    mass = density * float(np.prod(sides)) * 1e-6  # kg
    return DoseKernel(
        nuclide=nuclide(name).name,
        values=energy * (JOULE_PER_MEV / mass),
        sides=sides,
        density=density,
        medium="water",
        origin="own",
        photons=False,
        source=f"{histories} electrons in water, seed {seed}",
    )


def photon_kernel(
    name: str,
    sides: np.ndarray,
    density: float,
    reach: float,
    daughters: str | None = None,
    *,
    histories: int = 2 * HISTORIES,
    seed: int = 1,
) -> DoseKernel:
    """Kernel of the photons alone, up to `reach` mm from where they start, as `own_kernel`."""
    from igdd.kernels.photon_tracks import radial_photons
    from igdd.kernels.voxel_kernel import voxel_kernel

    check_density(density)
    sides = np.asarray(sides, dtype=float)
    if not sides.min() <= reach <= 2000:
        raise InputError(
            f"photons up to {reach:g} mm away; expected a length from one voxel to 2 m"
        )
    found = decays.emissions(name, daughters)
    energy, number = found.lines("photon")
    around = radial_photons(energy, number, reach / 10 * density, histories, seed)
    mass = density * float(np.prod(sides)) * 1e-6  # kg
    return DoseKernel(
        nuclide=nuclide(name).name,
        values=voxel_kernel(around, sides / 10 * density) * (JOULE_PER_MEV / mass),
        sides=sides,
        density=density,
        medium="water",
        origin="own",
        photons=True,
        source=f"{histories} photons in water up to {reach:g} mm, seed {seed}",
    )


def table_kernel(
    path: Path | str,
    *,
    nuclide_name: str | None = None,
    side: float | None = None,
    medium: str | None = None,
    unit: str | None = None,
    density: float = np.nan,
) -> DoseKernel:
    """Kernel of a table of voxel S values, as it stands: its sum is never changed.

    density  of the medium in g/mL, which tables do not state
    """
    found = voxel_s_table.read(path, nuclide_name=nuclide_name, side=side, medium=medium, unit=unit)
    return DoseKernel(
        nuclide=found.nuclide,
        values=found.values,
        sides=np.full(3, found.side),
        density=density,
        medium=found.medium,
        origin="table",
        photons=True,
        source=found.source,
    )


def table_sums(paths: Iterable[Path | str], density: float, **said: Any) -> list[dict[str, Any]]:
    """What each table holds against ICRP-107: energy of its sum, of electrons, and their ratio.

    density  of the medium in g/mL, by which a dose becomes an energy
    said     what the tables do not say, as in `table_kernel`

    A ratio other than 1 is for the reader to judge: photons add to a table, and some tables lack
    conversion and Auger electrons. Nothing is scaled by it.
    """
    check_density(density)
    rows = []
    for path in paths:
        kernel = table_kernel(path, density=density, **said)
        known = decays.emissions(kernel.nuclide, "none").mean_energy("beta-", "beta+", "electron")
        rows.append({
            "table": Path(path).name,
            "nuclide": kernel.nuclide,
            "side_mm": float(kernel.sides[0]),
            "medium": kernel.medium,
            "energy_MeV": kernel.energy,
            "electrons_MeV": known,
            "ratio": kernel.energy / known,
        })  # fmt: skip
    return rows


def check_fits(kernel: DoseKernel, name: str, spacing: np.ndarray) -> None:
    """Refuse a kernel of another nuclide or of other voxels."""
    if nuclide(name).name != kernel.nuclide:
        raise InputError(
            f"{kernel.source}: is a kernel of {kernel.nuclide}, but the activity is "
            f"{nuclide(name).name}; expected one of the same nuclide"
        )
    if (np.abs(np.asarray(spacing) / kernel.sides - 1) > SAME_SIDE).any():
        own, theirs = (
            " x ".join(f"{side:.4g}" for side in sides) for sides in (spacing, kernel.sides)
        )
        raise InputError(
            f"{kernel.source}: is a kernel for voxels of {theirs} mm, but the image's are {own} "
            "mm; expected the same; resample the image to the kernel's voxels, or leave the table "
            "out: igdd then computes a kernel for the image's own"
        )


def check_density(density: float) -> None:
    """Refuse a density that no tissue has."""
    if not 0.01 <= density <= 25:
        raise InputError(f"density is {density:g} g/mL; expected one of matter, such as 1.04 g/mL")


def range_mm(around: Radial, density: float) -> float:
    """Radius in mm of the sphere around a point that holds 90 % of its energy."""
    from igdd.kernels.voxel_kernel import radius_within

    return radius_within(around, RANGE_SHARE) / density * 10


def choose(asked: str, fwhm: float | None, reach: float) -> Mapping[str, Any]:
    """Kernel or local deposition, with the reason; lengths in mm.

    A point in an image of a resolution worse than the range is spread by the scanner further than
    by the particles: a kernel would spread it again, and what is measured is nearer the dose.

    >>> choose("auto", 12.0, 5.3)["chosen"], choose("auto", 1.5, 5.3)["chosen"]
    ('local', 'kernel')
    """
    if asked not in METHODS:
        raise InputError(f"method is {asked!r}; expected one of {', '.join(METHODS)}")
    if fwhm is None and asked == "auto":
        raise InputError(
            "nothing says how sharp the image is; expected its full width at half maximum, such as "
            f"fwhm '12 mm', by which the method is chosen (range {reach:.3g} mm), or a method: "
            "kernel or local"
        )
    if fwhm is not None and not 0 < fwhm < 1000:
        raise InputError(f"fwhm is {fwhm:g} mm; expected above 0 mm")
    blurred = fwhm is not None and fwhm > reach
    chosen = asked if asked != "auto" else ("local" if blurred else "kernel")
    flags = ["kernel_blurs_twice"] if chosen == "kernel" and blurred else []
    sharp = "unknown" if fwhm is None else f"{fwhm:.3g} mm"
    compared = f"image {sharp}, range {reach:.3g} mm (90 % of the energy)"
    if asked != "auto":
        reason = f"as asked; {compared}"
    elif blurred:
        reason = f"{compared}: the scanner blurs more than the particles; a kernel would blur twice"
    else:
        reason = f"{compared}: the particles carry energy further than the scanner blurs"
    return {"chosen": chosen, "asked": asked, "reason": reason, "fwhm_mm": fwhm,
            "range_mm": reach, "flags": flags}  # fmt: skip
