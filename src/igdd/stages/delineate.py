"""Delineate: label files and rules become one sparse matrix of regions on the image's grid.

Rules are applied in the order of the study, so that one may build on another's region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy import sparse

from igdd import catalog, units
from igdd.entries import RegionEntry, Source
from igdd.errors import StudyError
from igdd.kernels import shapes
from igdd.stages.plan import SessionPlan, described
from igdd.types import Image, Regions


def delineate(image: Image, plan: SessionPlan) -> Regions:
    """Every region of a session: from its files, then from the study's rules."""
    drawn: dict[str, np.ndarray | sparse.csr_matrix] = {}
    flags: dict[str, tuple[str, ...]] = {}
    sources = []
    for path in plan.scan.regions:
        _add_file(image, plan, path, drawn, flags)
        sources.append(path.name)
    for entry in plan.regions:
        if entry.source is None or entry.source.rule == "label":
            continue
        drawn[entry.name] = _rule(image, entry, drawn)
        flags[entry.name] = ()
        sources.append(f"{entry.name} by the rule {entry.source.rule!r}")
    if not drawn:
        raise StudyError(
            f"subject {plan.subject.id}, session {plan.name}: no region is drawn; "
            "give scan.regions a label file or [[region]] a rule under `from`"
        )
    missing = sorted(set(plan.excluded) - set(drawn))
    if missing:
        raise StudyError(
            f"exclude names region {missing[0]!r}, which is not drawn in subject "
            f"{plan.subject.id}, session {plan.name}; expected one of {', '.join(sorted(drawn))}; "
            "correct the name, or give exclude.session the one where it is drawn"
        )
    names = tuple(sorted(set(drawn) - set(plan.excluded)))
    entries = [described(plan.regions, name) for name in names]
    return Regions(
        weights=sparse.csr_matrix(sparse.vstack([_row(drawn[name]) for name in names])),
        names=names,
        kinds=tuple("organ" if entry is None else entry.kind for entry in entries),
        grid=image.grid,
        flags=tuple(flags[name] for name in names),
        source="; ".join(dict.fromkeys(sources)),
    )


def densities(plan: SessionPlan, names: tuple[str, ...]) -> Mapping[str, float]:
    """Density in g/mL of the regions whose density is declared; "" is the default of 1 g/mL."""
    found = {"": 1.0}
    for name in names:
        entry = described(plan.regions, name)
        if entry is not None and entry.density is not None:
            found[name] = entry.density
    return found


def _row(weights: np.ndarray | sparse.csr_matrix) -> sparse.csr_matrix:
    if isinstance(weights, np.ndarray):
        return sparse.csr_matrix(weights.reshape(1, -1))
    return weights


def _add_file(
    image: Image,
    plan: SessionPlan,
    path: Path,
    drawn: dict[str, np.ndarray | sparse.csr_matrix],
    flags: dict[str, tuple[str, ...]],
) -> None:
    """Read one region file; a `from = { label = n }` of the study names a label without a name.

    In a shared field of view, what lies wholly outside the subject's box is another animal's.
    """
    labels = {
        f"label_{entry.source.label}": entry.name
        for entry in plan.regions
        if entry.source is not None and entry.source.label is not None
    }
    regions = catalog.read_regions(path, image.grid)
    missing = sorted(set(labels) - set(regions.names))
    if missing and len(plan.scan.regions) == 1:
        raise StudyError(
            f"{path}: {', '.join(missing)} is not there; found {', '.join(regions.names)}; "
            "`from = { label = n }` names a label that has no name in the label map's table"
        )
    for index, found in enumerate(regions.names):
        name = labels.get(found, found)
        elsewhere = plan.scan.entry.box is not None and not regions.weights[index].sum() > 0
        if elsewhere and found not in labels:
            continue
        if name in drawn:
            raise StudyError(
                f"{path}: region {name!r} was already drawn by another file; "
                "expected each region once; rename one of them"
            )
        drawn[name] = sparse.csr_matrix(regions.weights[index])
        flags[name] = regions.flags[index]


def _rule(
    image: Image, entry: RegionEntry, drawn: Mapping[str, np.ndarray | sparse.csr_matrix]
) -> np.ndarray:
    """Weights (i, j, k) of one region by its rule; the first frame decides where values do."""
    source = entry.source
    if source is None:
        raise StudyError(f"region {entry.name!r} has no rule")

    def other(name: str) -> np.ndarray:
        if name not in drawn:
            raise StudyError(
                f"region {entry.name!r} builds on {name!r}, which is not drawn; "
                f"expected one of {', '.join(drawn) or 'none yet'}, drawn before it"
            )
        weights = drawn[name]
        if isinstance(weights, np.ndarray):
            return weights
        return np.asarray(weights.toarray().reshape(image.grid.shape))

    return _RULES[source.rule](image, source, other)


def _sphere(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    centre, diameter = np.asarray(source.sphere, dtype=float), float(source.diameter or 0.0)
    grid = image.grid
    if source.refine > 0:
        centre = shapes.refine_centre(
            image.values[..., 0], grid.affine, centre, diameter, source.refine
        )
    return shapes.sphere_weights(grid.shape, grid.affine, centre, diameter)


def _box(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    corners = np.asarray(source.box, dtype=float)
    grid = image.grid
    return shapes.box_weights(grid.shape, grid.affine, corners.min(axis=0), corners.max(axis=0))


def _above(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    values = image.values[..., 0]
    within = np.ones(image.grid.shape) if source.within is None else other(source.within)
    if source.above is not None:
        threshold = units.read(source.above, image.unit)
    else:
        highest = np.nanmax(np.where(within > 0.5, values, -np.inf))
        threshold = float(highest) * float(source.above_percent or 0.0) / 100
    mask = shapes.above(values, threshold, within)
    if source.seed is None:
        return np.asarray(mask, dtype=float)
    seed = np.rint(image.grid.indices(np.asarray(source.seed, dtype=float))).astype(int)
    return np.asarray(shapes.connected_component(mask > 0, tuple(seed.tolist())), dtype=float)


def _union(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    parts = [other(name) for name in source.union or ()]
    whole = parts[0]
    for part in parts[1:]:
        whole = shapes.union(whole, part)
    return whole


def _difference(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    whole, part = source.difference or ("", "")
    return shapes.difference(other(whole), other(part))


def _shell(image: Image, source: Source, other: Callable[[str], np.ndarray]) -> np.ndarray:
    weights = other(source.shell or "")
    return shapes.shell(weights, image.grid.affine, source.inner, source.outer)


_RULES: dict[str, Callable[[Image, Source, Callable[[str], np.ndarray]], np.ndarray]] = {
    "sphere": _sphere,
    "box": _box,
    "above": _above,
    "above_percent": _above,
    "union": _union,
    "difference": _difference,
    "shell": _shell,
}
