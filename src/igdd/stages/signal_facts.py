"""T1 before contrast and the share of the flip angle, voxel by voxel, as a study states them.

Both are maps on the scan's grid. A region with a T1 of its own, such as an artery in which a map
shows the flow, has that one in all its voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from igdd import catalog, units
from igdd.errors import StudyError, UnitsError
from igdd.facts import Declared
from igdd.headers import text
from igdd.io import sidecar
from igdd.io.box import crop
from igdd.modalities.mr_dce import stated_t1
from igdd.stages.align import turned
from igdd.stages.plan import ScanPlan, SessionPlan, described
from igdd.stages.relaxation import in_seconds
from igdd.types import Grid, Regions, Series

# Share of a voxel from which it is a region's own.
MOST = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnT1:
    """T1 in s by region, and the regions as they were drawn with the T1 of the scan."""

    t1: Mapping[str, float]
    regions: Regions

    @property
    def sentence(self) -> str:
        """What was stated, in words for a methods section."""
        named = (f"of {name} {1000 * value:g} ms" for name, value in self.t1.items())
        return f"T1 before contrast {', '.join(named)}."

    def put_into(self, t1: np.ndarray) -> np.ndarray:
        """T1 (i, j, k) with the own one of each region in the voxels that it touches.

        The region with most of a voxel counts; one that is two regions' own is refused.
        """
        found, most = t1.copy(), np.zeros(t1.shape)
        for name, value in self.t1.items():
            weights = self.regions.mask(name)
            if ((np.minimum(weights, most) > MOST) & (found != value)).any():
                raise StudyError(
                    f"region {name!r} and another have voxels in common and each a T1 of its own; "
                    "expected one T1 of a voxel; draw them apart, or leave one region.t1 out"
                )
            here = weights > most
            found[here], most[here] = value, weights[here]
        return found


def of_regions(plan: SessionPlan, regions: Regions) -> OwnT1 | None:
    """The regions that have a T1 of their own; None where no signal is read by it."""
    if plan.scan.entry.modality != "mr_dce":
        return None
    entries = {name: described(plan.regions, name) for name in regions.names}
    stated = {
        name: stated_t1(entry.t1, f"region {name!r}")
        for name, entry in entries.items()
        if entry is not None and entry.t1 is not None
    }
    return OwnT1(t1=stated, regions=regions) if stated else None


def with_maps(scan: ScanPlan, grid: Grid, own: OwnT1 | None = None) -> Declared:
    """What is declared of a scan, with the T1 and B1 of its maps, and the T1 of its regions."""
    declared = scan.declared
    if scan.t1_map is not None:
        stored, unit = _volume(scan, "t1_map", grid)
        declared = replace(declared, t1=in_seconds(stored, unit, str(scan.t1_map)))
    if scan.b1_map is not None:
        stored, unit = _volume(scan, "b1_map", grid)
        declared = replace(declared, b1=_shares(stored, unit, str(scan.b1_map)))
    if own is not None and declared.t1 is not None:
        before = np.broadcast_to(np.asarray(declared.t1, dtype=float), grid.shape)
        declared = replace(declared, t1=own.put_into(before))
    return declared


def check_units(scan: ScanPlan) -> None:
    """Refuse a map of T1 or B1 without its unit by the JSON alone; DICOM's is read with the map."""
    for path, read in ((scan.t1_map, in_seconds), (scan.b1_map, _shares)):
        if path is not None and path.name.lower().endswith(sidecar.EXTENSIONS):
            read(np.ones(1), sidecar.read_sidecar(path)[0].get("Units"), str(path))


def _shares(stored: np.ndarray, unit: object, where: str) -> np.ndarray:
    """Shares of the nominal flip angle of a map in 1 or %."""
    if not (isinstance(unit, str) and units.converts(unit, "1")):
        raise UnitsError(
            f"{where}: its unit is {unit!r}; expected Units in its sidecar, or RescaleType "
            "(0028,1054) in DICOM: 1 (a share of the nominal flip angle) or %"
        )
    return np.asarray(units.factor(unit, "1") * stored.astype(float))


def _volume(scan: ScanPlan, key: str, grid: Grid) -> tuple[np.ndarray, object]:
    """Values (i, j, k) of a scan's map, cut as the scan is, and the unit that it states."""
    path = getattr(scan, key)
    every = catalog.read_series(path)
    if len(every) != 1 or every[0].values.shape[3] != 1:
        raise StudyError(f"{path}: expected one volume in scan.{key}")
    found, box = every[0], scan.entry.box
    if box is not None:
        found = crop(found, *np.sort(np.asarray(box, dtype=float), axis=0))
    values = turned(found.values[..., 0], found.grid, grid)
    if values is None:
        raise StudyError(
            f"{path}: the grid of scan.{key} is not the series'; expected a map on it; resample"
        )
    return values, _unit(found)


def _unit(series: Series) -> object:
    """The unit that a map's sidecar states, or its DICOM headers; None where neither does."""
    if not series.headers:
        return series.sidecar.get("Units")
    return text(series.headers[0], "RescaleType")
