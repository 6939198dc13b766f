"""Panels: the projections and slices of a session that the report shows, as numbers.

Views follow the radiological convention: the patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from igdd.results import Panel
from igdd.types import Image, Session


def panels(session: Session, anatomy: Image | None = None) -> tuple[Panel, ...]:
    """Two maximum-intensity projections and the slice through the most striking region.

    `anatomy`, if given, lies on the image's grid.
    """
    if session.image is None or session.regions is None:
        return ()
    quantity, unit, factor = shown(session)
    values = upright(np.nan_to_num(session.image.values[..., -1]), session.image.grid.affine)
    values = values * np.float32(factor)
    masks = {
        name: upright(session.regions.mask(name), session.image.grid.affine) > 0.5
        for name in session.regions.names
    }
    spacing = spacing_of(session.image.grid.affine)
    common = {
        "subject": session.subject.id,
        "session": session.name,
        "quantity": quantity,
        "unit": unit,
        "kinds": dict(zip(session.regions.names, session.regions.kinds, strict=True)),
    }
    views = [
        ("mip_coronal", "maximum-intensity projection, coronal", 1, (2, 0)),
        ("mip_sagittal", "maximum-intensity projection, sagittal", 0, (2, 1)),
    ]
    found = [
        Panel(
            kind=kind,
            title=title,
            pixels=flat(values.max(axis=axis), axis).astype(np.float32),
            spacing=(spacing[rows_columns[0]], spacing[rows_columns[1]]),
            outlines={
                name: flat(np.asarray(mask.any(axis=axis)), axis) for name, mask in masks.items()
            },
            **common,  # type: ignore[arg-type]
        )
        for kind, title, axis, rows_columns in views
    ]
    name = _striking(session)
    if name is not None and masks[name].any():
        found.append(_slice(values, masks, name, spacing, anatomy, common))
    return tuple(found)


def map_panel(
    session: Session, path: Path, quantity: str, unit: str, anatomy: Image | None = None
) -> tuple[Panel, ...]:
    """The slice of a parametric map through the most striking region; none without regions."""
    import nibabel as nib

    name = _striking(session)
    if session.image is None or session.regions is None or name is None:
        return ()
    grid = session.image.grid
    stored = np.asarray(nib.load(path).dataobj, dtype=np.float32)
    values = upright(stored.reshape(grid.shape), grid.affine)
    masks = {
        one: upright(session.regions.mask(one), grid.affine) > 0.5 for one in session.regions.names
    }
    common = {
        "subject": session.subject.id,
        "session": session.name,
        "quantity": quantity,
        "unit": unit,
        "kinds": dict(zip(session.regions.names, session.regions.kinds, strict=True)),
    }
    if not masks[name].any():
        return ()
    flagged = None
    flags = path.with_name("flags.nii")
    if flags.exists():
        status = np.asarray(nib.load(flags).dataobj).reshape(grid.shape)
        flagged = flat(upright(status, grid.affine)[:, :, _level(masks[name])], 2) > 0
    picture = _slice(values, masks, name, spacing_of(grid.affine), anatomy, common)
    return (replace(picture, kind="map", flagged=flagged),)


def shown(session: Session) -> tuple[str, str, float]:
    """Quantity, unit and factor to show: SUV where dose and weight are known, else as measured."""
    given = session.net_activity()
    weight = session.subject.weight
    curves = session.curves
    at_administration = (
        curves.frames.zero.kind == "administration"
        and curves.decay is not None
        and curves.decay.corrected_to == 0.0
    )
    if given is not None and weight is not None and at_administration:
        return "SUV (body weight)", "g/mL", weight / given.value
    if curves.unit == "Bq/mL":
        return "activity concentration", "kBq/mL", 1e-3
    return curves.quantity.replace("_", " "), curves.unit, 1.0


def _striking(session: Session) -> str | None:
    """The lesion (else any region) with the highest mean in the last frame."""
    if session.regions is None:
        return None
    kinds = set(session.regions.kinds)
    wanted = "lesion" if "lesion" in kinds else None
    means = {
        name: float(session.curves.values[session.curves.names.index(name), -1])
        for name, kind in zip(session.regions.names, session.regions.kinds, strict=True)
        if kind == wanted or wanted is None
    }
    means = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    return max(means, key=lambda name: (means[name], name)) if means else None


def _slice(
    values: np.ndarray,
    masks: Mapping[str, np.ndarray],
    name: str,
    spacing: tuple[float, float, float],
    anatomy: Image | None,
    common: Mapping[str, object],
) -> Panel:
    level = _level(masks[name])
    under = None
    if anatomy is not None:
        whole = upright(anatomy.values[..., 0], anatomy.grid.affine)
        under = flat(whole[:, :, level], 2).astype(np.float32)
    return Panel(
        kind="slice",
        title=f"transverse slice through {name}",
        pixels=flat(values[:, :, level], 2).astype(np.float32),
        spacing=(spacing[1], spacing[0]),
        outlines={
            other: flat(mask[:, :, level], 2)
            for other, mask in masks.items()
            if mask[:, :, level].any()
        },
        under=under,
        **common,  # type: ignore[arg-type]
    )


def _level(mask: np.ndarray) -> int:
    """The transverse slice that holds most of a region."""
    return int(np.argmax(mask.sum(axis=(0, 1))))


def _axes(affine: np.ndarray) -> tuple[tuple[int, int, int], np.ndarray]:
    """Which array axis runs closest along x, y, z (world), and its sign there."""
    direction = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order: list[int] = []
    for world in range(3):
        rank = np.argsort(-np.abs(direction[world]))
        order.append(next(int(axis) for axis in rank if axis not in order))
    signs = np.sign([direction[world, axis] for world, axis in enumerate(order)])
    return (order[0], order[1], order[2]), signs


def upright(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The volume with axes along right, front and head (closest; no resampling)."""
    order, signs = _axes(affine)
    turned = np.transpose(volume, order)
    return turned[tuple(slice(None, None, -1 if sign < 0 else 1) for sign in signs)]


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel size in mm along right, front and head."""
    order, _ = _axes(affine)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return float(lengths[order[0]]), float(lengths[order[1]]), float(lengths[order[2]])


def flat(view: np.ndarray, axis: int) -> np.ndarray:
    """A view (first, second remaining axis) as picture rows and columns.

    Coronal and sagittal: head up. Transverse: front up. Right of the patient on the left.
    """
    picture = view.T[::-1]
    return np.ascontiguousarray(picture[:, ::-1] if axis != 0 else picture)
