"""Absorbed dose, voxel by voxel: what `igdd dose-map` writes.

Time-integrated activity becomes dose by a kernel or by local deposition, plane by plane, and the
numbers of regions from it. Both methods are computed: the chosen one is written, and what the other
would give stands beside every number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.decay import nuclide as find_nuclide
from igdd.emissions import Emissions, emissions
from igdd.errors import InputError
from igdd.io import bounded, sidecar, streamed
from igdd.stages import dose_inputs, dose_numbers, dose_results
from igdd.stages.dose_kernels import (
    DoseKernel,
    check_density,
    check_fits,
    choose,
    energy_around,
    own_kernel,
    photon_kernel,
    range_mm,
)
from igdd.stages.dose_results import Tally
from igdd.types import Grid

Progress = Callable[[str, int, int], None]

# Share of the photons' energy in that of the charged particles from which a flag says so.
NOTABLE = 0.01
MAP_KIND = np.dtype("<f4")


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What turns decays into dose.

    density       of the tissue in g/mL, for the kernel and where there is no map of it
    density_map   image of it on the same grid, g/mL
    fwhm          of the image in mm; method auto, kernel or local
    kernel        a table's kernel instead of igdd's own
    photons       mm up to which photons are followed, by either method; None leaves them out
    daughters     what becomes of progeny: "equilibrium", "none"; None where there is none to ask of
    """

    density: float
    density_map: Path | None = None
    fwhm: float | None = None
    method: str = "auto"
    kernel: DoseKernel | None = None
    photons: float | None = None
    daughters: str | None = None

    def __post_init__(self) -> None:
        check_density(self.density)
        if self.photons is not None and self.kernel is not None:
            raise InputError(
                f"{self.kernel.source}: a table holds photons already, within its own voxels; "
                "expected a table or photons, not both"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DoseMap:
    """What a dose map leaves: files, facts as plain values, histograms (dose in Gy, share)."""

    dose: Path
    account: Path
    facts: Mapping[str, Any]
    histograms: Mapping[str, Mapping[str, list[tuple[float, float]]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """All that planes are solved with; `densities` None where there is no map of it."""

    source: dose_inputs.Decays
    physics: Physics
    local: Emissions
    kernel: DoseKernel | None
    photons: DoseKernel | None
    densities: streamed.Pieces | None
    chosen: str


def dose_map(
    images: Path | str | Sequence[Path | str],
    nuclide: str,
    out: Path | str,
    *,
    physics: Physics,
    mask: Path | str | None = None,
    unit: str | None = None,
    integration: dose_inputs.Integration | None = None,
    wanted: dose_numbers.Wanted | None = None,
    uncertainties: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> DoseMap:
    """Dose in Gy of every voxel, written into a folder, and the numbers of regions.

    images         one of time-integrated activity, or several of activity with `integration`
    mask           regions whose numbers and histograms are wanted
    unit           of the images, where their sidecars do not say it
    uncertainties  relative standard deviations shared by all voxels (dose_numbers.SOURCES)
    """
    folder = Path(out)
    several = [images] if isinstance(images, Path | str) else list(images)
    name = find_nuclide(nuclide).name
    wanted = dose_numbers.Wanted() if wanted is None else wanted
    doubt = {} if uncertainties is None else dict(uncertainties)
    cv = dose_numbers.shared_cv(doubt)
    local = emissions(name, physics.daughters)
    reach = range_mm(energy_around(name, physics.daughters), physics.density)
    choice = choose(physics.method, physics.fwhm, reach)
    bounded.writable(folder)
    with ExitStack() as stack:
        source = stack.enter_context(
            dose_inputs.opened(
                [Path(one) for one in several], name, folder, unit=unit, integration=integration
            )
        )
        regions = None if mask is None else catalog.read_regions(Path(mask), source.grid)
        densities = _density_map(physics, source.grid, folder, stack)
        kernel, lacking = _kernel(physics, name, source.grid, str(choice["chosen"]))
        photons = _photons(physics, name, source.grid)
        job = _Job(source=source, physics=physics, local=local, kernel=kernel, photons=photons,
                   densities=densities, chosen=str(choice["chosen"]))  # fmt: skip
        tally = Tally(regions, source.grid)
        _write(job, folder / "dose.nii", tally, progress)
        facts = _facts(job, tally, lacking) | {
            "method": {key: value for key, value in choice.items() if key != "flags"},
            "uncertainty": {"shared_cv": cv, "sources": doubt},
        }
        found, histograms = dose_results.of_regions(tally, regions, wanted, cv)
        flags = {*choice["flags"], *tally.flags(), *_left_out(job)}
        facts |= {"flags": sorted(flags), "regions": found}
        table = None if physics.kernel is None else physics.kernel.source
        beside = (mask, physics.density_map, table)
        used = [*source.files, *(Path(one) for one in beside if one is not None)]
        account = dose_results.write(folder, facts, histograms, used)
    return DoseMap(dose=folder / "dose.nii", account=account, facts=facts, histograms=histograms)


def _facts(job: _Job, tally: Tally, lacking: str) -> dict[str, Any]:
    """What the account says of the physics and of the image as a whole."""
    physics, local, kernel = job.physics, job.local, job.kernel
    grid = job.source.grid
    return {
        "nuclide": local.name,
        "kernel": _about(kernel, lacking),
        "photons": None if job.photons is None else _about(job.photons, ""),
        "energy_MeV_per_decay": {
            "charged": local.charged,
            "photons": local.photon,
            "progeny": [member for member, _ in local.counted[1:]],
        },
        "density_g_per_ml": physics.density,
        "density_map": None if physics.density_map is None else Path(physics.density_map).name,
        "voxel_mm": [float(side) for side in grid.spacing],
        "integration": job.source.facts,
        **tally.facts(1.0 if kernel is None else float(kernel.values.sum()), grid),
    }


def _density_map(
    physics: Physics, grid: Grid, folder: Path, stack: ExitStack
) -> streamed.Pieces | None:
    path = physics.density_map
    if path is None:
        return None
    pieces = stack.enter_context(streamed.opened(Path(path), folder))
    dose_inputs.same_grid(pieces, grid, "the activity")
    said = sidecar.read_sidecar(Path(path))[0].get("Units")
    if said is None or units.parse(str(said)).dimensions != units.parse("g/mL").dimensions:
        raise InputError(
            f"{path}: its unit is {said!r} by its sidecar; expected g/mL in Units; Hounsfield "
            "units become densities by the CT scanner's own calibration"
        )
    factor = units.factor(str(said), "g/mL")

    def read(first: int, last: int) -> np.ndarray:
        return np.asarray(pieces.read(first, last) * factor)

    return streamed.Pieces(grid=pieces.grid, frames=1, source=pieces.source, read=read)


def _kernel(physics: Physics, name: str, grid: Grid, chosen: str) -> tuple[DoseKernel | None, str]:
    """The kernel, and why there is none where local deposition can do without."""
    if physics.kernel is not None:
        check_fits(physics.kernel, name, grid.spacing)
        return physics.kernel, ""
    try:
        return own_kernel(name, grid.spacing, physics.density, physics.daughters), ""
    except InputError as error:
        if chosen == "kernel":
            raise
        return None, str(error)


def _photons(physics: Physics, name: str, grid: Grid) -> DoseKernel | None:
    if physics.photons is None:
        return None
    sides, density = grid.spacing, physics.density
    return photon_kernel(name, sides, density, physics.photons, physics.daughters)


def _write(job: _Job, path: Path, tally: Tally, progress: Progress | None) -> None:
    """Write the dose plane by plane, and add up what the facts need."""
    grid = job.source.grid
    with streamed.drafts({"dose": (path, MAP_KIND)}, grid) as streams:
        for first, last, kernel, local, others in _planes(job, tally):
            main, other = (kernel, local) if job.chosen == "kernel" else (local, kernel)
            tally.take(first, last, (main, other, *others))
            with np.errstate(over="ignore"):
                stored = main.astype(MAP_KIND)
            if np.isinf(stored).any():
                raise InputError(
                    f"{job.source.files[0]}: a dose is beyond single precision (3.4e38 Gy); "
                    "check the unit of the activity"
                )
            streams["dose"].write(stored.tobytes(order="F"))
            tally.count(main, *others[1:])
            if progress is not None:
                progress("planes", last, grid.shape[2])


def _planes(job: _Job, tally: Tally) -> Iterator[tuple[Any, ...]]:
    """(first, last, dose by kernel, dose by local deposition, others) of planes.

    The others are density, decays, those in the tail, and bits of the time integral.
    """
    from igdd.kernels import dose_convolution

    shape, volume = job.source.grid.shape, job.source.grid.voxel_volume
    held: dict[str, Any] = {}

    def read(low: int, high: int) -> np.ndarray:
        decays, tail, bits = job.source.read(low, high)
        held.update(low=low, decays=decays, tail=tail, bits=bits)
        return np.where(np.isnan(decays), 0.0, decays) * volume

    wanted = {"kernel": job.kernel, "photons": job.photons}
    values = {key: one.values for key, one in wanted.items() if one is not None}
    # Without any the planes are still read, and passed through a kernel of nothing.
    values = values or {"nothing": np.zeros((1, 1, 1))}
    for first, last, made in dose_convolution.slabs(read, shape, list(values.values())):
        by_kernel = dict(zip(values, made, strict=True))
        photons = by_kernel.get("photons", 0.0)
        part = slice(first - held["low"], last - held["low"])
        decays, tail, bits = (held[key][:, :, part] for key in ("decays", "tail", "bits"))
        density = _densities(job, first, last)
        hole = np.isnan(decays) | np.isnan(density)
        # What photons leave in a gram does not depend on how densely the gram is packed.
        local = decays * job.local.local_dose_constant / density + photons
        kernel = np.full(decays.shape, np.nan)
        if job.kernel is not None:  # from the kernel's medium to each voxel's own mass
            kernel = by_kernel["kernel"] * (job.physics.density / density) + photons
            tally.kept += float(by_kernel["kernel"].sum())
        yield (first, last, np.where(hole, np.nan, kernel), np.where(hole, np.nan, local),
               (density, decays, tail, bits))  # fmt: skip


def _densities(job: _Job, first: int, last: int) -> np.ndarray:
    """Densities in g/mL of planes; NaN where the map has none above 0."""
    if job.densities is None:
        rows, columns, _ = job.source.grid.shape
        return np.full((rows, columns, last - first), job.physics.density)
    found = dose_inputs.planes(job.densities, first, last)
    with np.errstate(invalid="ignore"):
        return np.where((found > 0) & np.isfinite(found), found, np.nan)


def _about(kernel: DoseKernel | None, lacking: str) -> dict[str, Any]:
    """What the account says of the kernel."""
    if kernel is None:
        return {"origin": "none", "reason": lacking}
    return {
        "origin": kernel.origin,
        "source": Path(kernel.source).name if kernel.origin == "table" else kernel.source,
        "medium": kernel.medium,
        "photons": kernel.photons,
        "voxels": list(kernel.values.shape),
        "sum_Gy_per_Bq_s": float(kernel.values.sum()),
    }


def _left_out(job: _Job) -> set[str]:
    table = job.kernel is not None and job.kernel.photons and job.chosen == "kernel"
    few = job.local.photon <= NOTABLE * job.local.charged
    return set() if table or few or job.photons is not None else {"photons_left_out"}
