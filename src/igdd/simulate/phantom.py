"""The virtual patient's anatomy: a torso of analytic shapes, with organs and lesions.

Shapes are superellipsoids with a wavy surface, in world millimetres (RAS+). They are painted on a
lattice finer than the image, the later over the earlier, so that every voxel has one owner. The
same shapes, moved and grown a little, are the regions that the user of the trial is given: the
regions are wrong as a drawn region is wrong. Organ volumes follow ICRP Publication 89 (reference
adult), rounded; lungs are taken with air, blood is the content of heart and great vessels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from igdd.errors import InputError
from igdd.types import Grid

BODY = 1  # label of the body outside every region; 0 is air

# region: kind, density in g/mL (ICRP 89; lungs with air)
TISSUES: dict[str, tuple[str, float]] = {
    "lungs": ("organ", 0.30),
    "liver": ("organ", 1.06),
    "spleen": ("organ", 1.06),
    "kidney_left": ("organ", 1.05),
    "kidney_right": ("organ", 1.05),
    "blood": ("blood", 1.06),
    "marrow": ("organ", 1.03),
    "bladder": ("organ", 1.01),
    "muscle": ("reference", 1.05),
}
LESION_DENSITY = 1.04


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A superellipsoid with a wavy surface: centre and semi-axes in mm, three exponents.

    A point is inside where sum |q_n|^power_n < (1 + wave)^2, with q the offset from the centre in
    units of the semi-axes and `wave` a smooth function of direction, at most `ripple` high.
    """

    centre: tuple[float, float, float]
    semi: tuple[float, float, float]
    power: tuple[float, float, float] = (2.0, 2.0, 2.0)
    ripple: float = 0.0
    phase: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def perturbed(self, shift: np.ndarray, growth: float) -> Shape:
        """The shape moved by `shift` (3,) mm, its surface moved outwards by `growth` mm."""
        x, y, z = (float(c + s) for c, s in zip(self.centre, shift, strict=True))
        a, b, c = (max(axis + growth, 0.5) for axis in self.semi)
        return replace(self, centre=(x, y, z), semi=(a, b, c))

    def scaled(self, scale: np.ndarray) -> Shape:
        """The shape with all coordinates multiplied by `scale` (3,)."""
        x, y, z = (float(c * s) for c, s in zip(self.centre, scale, strict=True))
        a, b, c = (float(axis * s) for axis, s in zip(self.semi, scale, strict=True))
        return replace(self, centre=(x, y, z), semi=(a, b, c))


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A lesion: its shape, and how unevenly it takes up (a random field and a cold core)."""

    name: str
    shape: Shape
    diameter: float
    roughness: float
    core: float


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One patient: the body's shapes, each region's shapes, and the lesions."""

    body: tuple[Shape, ...]
    organs: tuple[tuple[str, tuple[Shape, ...]], ...]
    lesions: tuple[Lesion, ...]

    @property
    def regions(self) -> tuple[tuple[str, tuple[Shape, ...]], ...]:
        """Name and shapes of every region, in the order of painting: lesions last."""
        return (*self.organs, *((lesion.name, (lesion.shape,)) for lesion in self.lesions))

    @property
    def names(self) -> tuple[str, ...]:
        """Region names; the label of name n is n + 2 (1 is the rest of the body)."""
        return tuple(name for name, _ in self.regions)


def _torso() -> tuple[tuple[Shape, ...], dict[str, tuple[Shape, ...]]]:
    box = (2.5, 2.5, 12.0)
    body = (
        Shape(centre=(0, 0, -75), semi=(168, 108, 345), power=box),
        Shape(centre=(0, 0, 270), semi=(55, 55, 45), power=(2, 2, 12)),
        Shape(centre=(0, 8, 345), semi=(74, 92, 88)),
    )
    organs = {
        "lungs": (
            Shape(centre=(86, 0, 100), semi=(52, 72, 95), ripple=0.04),
            Shape(centre=(-92, 0, 102), semi=(46, 70, 92), ripple=0.04),
        ),
        "liver": (Shape(centre=(72, 8, -35), semi=(78, 75, 62), ripple=0.06),),
        "spleen": (Shape(centre=(-104, -36, -22), semi=(27, 36, 46), ripple=0.05),),
        "kidney_left": (Shape(centre=(-62, -54, -112), semi=(25, 24, 52), ripple=0.04),),
        "kidney_right": (Shape(centre=(64, -56, -124), semi=(25, 24, 52), ripple=0.04),),
        "blood": (Shape(centre=(-22, 34, 72), semi=(40, 36, 42), ripple=0.05),),
        "marrow": (Shape(centre=(0, -72, -15), semi=(17, 15, 210), power=(2, 2, 12)),),
        "bladder": (Shape(centre=(0, 42, -335), semi=(32, 30, 32), ripple=0.03),),
        "muscle": (Shape(centre=(72, -52, -342), semi=(28, 22, 48), ripple=0.03),),
    }
    return body, organs


# Where lesions may lie: centre (mm) and the largest diameter (mm) that keeps them apart.
SITES: tuple[tuple[tuple[float, float, float], float], ...] = (
    ((92, 18, -22), 36.0),  # liver, right lobe
    ((34, 30, -45), 26.0),  # liver, left lobe
    ((90, 4, 118), 38.0),  # right lung
    ((-98, 0, 128), 34.0),  # left lung
    ((12, 6, 160), 28.0),  # mediastinum
    ((30, 8, 268), 20.0),  # neck
    ((4, -18, -175), 40.0),  # retroperitoneum
    ((-80, 15, -300), 45.0),  # pelvis, left
    ((88, 45, -290), 32.0),  # pelvis, right
    ((-78, -20, -375), 45.0),  # thigh, left
)


def draw_anatomy(rng: np.random.Generator, smallest: float, largest: float) -> Anatomy:
    """A random patient: body size, organ sizes and places, 1 to 5 lesions.

    Lesion diameters (of the sphere of equal volume) lie between `smallest` and `largest` mm.
    """
    width, height = rng.uniform(0.93, 1.07), rng.uniform(0.97, 1.02)
    scale = np.array([width, width, height])
    body, organs = _torso()
    drawn = []
    for name, shapes in organs.items():
        growth = scale * rng.uniform(0.95, 1.05)
        shift = rng.uniform(-4.0, 4.0, 3)
        phase = _phase(rng)
        parts = [replace(s, semi=s.scaled(growth).semi, phase=phase) for s in shapes]
        drawn.append(
            (name, tuple(replace(p, centre=_move(p, scale, shift)) for p in parts)),
        )
    return Anatomy(
        body=tuple(shape.scaled(scale) for shape in body),
        organs=tuple(drawn),
        lesions=_draw_lesions(rng, scale, smallest, largest),
    )


def _move(shape: Shape, scale: np.ndarray, shift: np.ndarray) -> tuple[float, float, float]:
    return replace(shape, semi=(1.0, 1.0, 1.0)).scaled(scale).perturbed(shift, 0.0).centre


def _phase(rng: np.random.Generator) -> tuple[float, float, float]:
    a, b, c = (float(angle) for angle in rng.uniform(0, 2 * np.pi, 3))
    return a, b, c


def _draw_lesions(
    rng: np.random.Generator, scale: np.ndarray, smallest: float, largest: float
) -> tuple[Lesion, ...]:
    fitting = [(place, room) for place, room in SITES if room >= smallest]
    if not 0 < smallest <= largest or not fitting:
        raise InputError(
            f"lesions of {smallest} to {largest} mm; expected rising diameters, from at most "
            f"{max(room for _, room in SITES)} mm"
        )
    count = min(int(rng.integers(1, 6)), len(fitting))
    sites = rng.choice(len(fitting), size=count, replace=False)
    lesions = []
    for number, site in enumerate(sorted(sites), start=1):
        place, room = fitting[site]
        diameter = float(np.exp(rng.uniform(np.log(smallest), np.log(min(room, largest)))))
        stretch = rng.uniform(0.85, 1.18, 3)
        semi = diameter / 2 * stretch / np.cbrt(stretch.prod())
        centre = np.array(place) * scale + rng.uniform(-4.0, 4.0, 3)
        shape = Shape(
            centre=(float(centre[0]), float(centre[1]), float(centre[2])),
            semi=(float(semi[0]), float(semi[1]), float(semi[2])),
            ripple=0.12,
            phase=_phase(rng),
        )
        necrotic = diameter > 25 and rng.random() < 0.5
        lesions.append(
            Lesion(
                name=f"lesion_{number}",
                shape=shape,
                diameter=diameter,
                roughness=0.25,
                core=0.35 if necrotic else 1.0,
            )
        )
    return tuple(lesions)


def radius(shape: Shape, grid: Grid, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Distance from the shape's centre in units of its surface: below 1 is inside."""
    axes = [
        (grid.affine[n, n] * np.arange(part.start, part.stop) + grid.affine[n, 3] - shape.centre[n])
        / shape.semi[n]
        for n, part in enumerate(box)
    ]
    q = np.meshgrid(*axes, indexing="ij", sparse=True)
    x, y, z = (np.abs(part) ** power for part, power in zip(q, shape.power, strict=True))
    level = np.asarray(x + y + z)
    if not shape.ripple:
        return np.asarray(np.sqrt(level))
    distance = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2) + 1e-12
    waves = [
        np.sin((2 + n) * part / distance + phase)
        for n, (part, phase) in enumerate(zip(q, shape.phase, strict=True))
    ]
    return np.asarray(np.sqrt(level) / (1 + shape.ripple * sum(waves) / 3))


def bounding_box(shape: Shape, grid: Grid) -> tuple[slice, slice, slice]:
    """The part of a lattice (its axes along the world's) that can hold the shape."""
    parts = []
    for n in range(3):
        reach = shape.semi[n] * (1 + shape.ripple) + abs(grid.affine[n, n])
        edges = (np.array([-reach, reach]) + shape.centre[n] - grid.affine[n, 3]) / grid.affine[
            n, n
        ]
        low, high = int(np.floor(edges.min())), int(np.ceil(edges.max())) + 1
        parts.append(slice(min(max(low, 0), grid.shape[n]), min(max(high, 0), grid.shape[n])))
    return parts[0], parts[1], parts[2]


def paint(anatomy: Anatomy, grid: Grid) -> np.ndarray:
    """Label map (i, j, k) uint8: 0 air, 1 the rest of the body, n + 2 region n of `names`."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for shape in anatomy.body:
        _fill(labels, shape, grid, BODY)
    if labels[[0, -1]].any() or labels[:, [0, -1]].any() or labels[:, :, [0, -1]].any():
        raise InputError(
            f"the virtual body touches the edge of a field of view of {grid.shape} voxels; "
            "expected air all around; use a larger extent"
        )
    for number, (_, shapes) in enumerate(anatomy.regions, start=BODY + 1):
        for shape in shapes:
            _fill(labels, shape, grid, number)
    return labels


def draw_regions(
    anatomy: Anatomy, grid: Grid, rng: np.random.Generator, shift: float, growth_sd: float
) -> np.ndarray:
    """Label map as a reader would draw it: every region moved and grown at random.

    Each region moves by a vector of random direction and a length of up to `shift` mm, and its
    border lies `growth_sd` mm (standard deviation) outside or inside of the true one. Air and the
    rest of the body are 0; region n of `names` is n + 1.
    """
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for number, (_, shapes) in enumerate(anatomy.regions, start=1):
        direction = rng.standard_normal(3)
        move = direction / np.linalg.norm(direction) * rng.uniform(0.0, shift)
        growth = float(rng.normal(0.0, growth_sd))
        for shape in shapes:
            _fill(labels, shape.perturbed(move, growth), grid, number)
    return labels


def _fill(labels: np.ndarray, shape: Shape, grid: Grid, label: int) -> None:
    box = bounding_box(shape, grid)
    labels[box][radius(shape, grid, box) < 1] = label
