"""Configurations: how an image and a mask are prepared before their features are computed.

Everything that changes a value is in it, in the words of the IBSI reference manual
(arXiv:1612.07003), and its hash goes with every value. Intensities are in the image's own unit.
The named ones stand as TOML files in `ibsi_configurations`; another is a file of the same form.
One with a [filter] is of IBSI 2: features of the response map, in the region of the image itself.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from igdd.errors import InputError
from igdd.kernels.regrid import ORDERS
from igdd.metrics import ibsi_filters

AGGREGATIONS = ("2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb")
FAMILIES = ("morph", "loc", "stat", "ih", "ivh", "cm", "rlm", "szm", "dzm", "ngt", "ngl")
# The families that see the discretised intensities, and those that see the volume histogram's.
DISCRETISED = frozenset(("ih", "cm", "rlm", "szm", "dzm", "ngt", "ngl"))
HISTOGRAM = frozenset(("ivh",))
MASK_ORDERS = ("nearest", "linear")
# A TOML file of settings is a page; more is not one.
LARGEST_FILE = 1 << 16
# What the settings' own names may be preceded by: "A", "config_A", "ibsi_1_A" are one.
_PREFIXES = {"ibsi", "ibsi1", "1", "config", "configuration"}
# Those of IBSI 2, phase 2: "1.A", "ibsi2_1a", "IBSI 2 1.A", "phase2_1_a"; but "1_A", as "ibsi_1_A",
# is A of IBSI 1, and "ibsi 1a" could be either.
_SECOND = re.compile(
    r"(?:ibsi)?[\s_-]*(?:phase[\s_-]*)?2[\s_-]+([1-9])[\s._-]*([ab])"
    r"|(?:config(?:uration)?[\s_-]+)?([1-9])\.([ab])"
)


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """Voxel size in mm to bring the image to, along i, j, k (or i, j alone), and how."""

    spacing_mm: tuple[float, ...]
    image: str
    mask: str = "linear"
    mask_threshold: float = 0.5

    def __post_init__(self) -> None:
        number = len(self.spacing_mm)
        if number not in (2, 3) or not all(_number(one) and one > 0 for one in self.spacing_mm):
            raise InputError(
                f"interpolate.spacing_mm is {list(self.spacing_mm)}; expected three positive "
                "numbers, or two to keep the slices"
            )
        _choose("interpolate.image", self.image, ORDERS)
        _choose("interpolate.mask", self.mask, MASK_ORDERS)
        if not (_number(self.mask_threshold) and 0 < self.mask_threshold <= 1):
            raise InputError(
                f"interpolate.mask_threshold is {self.mask_threshold!r}; expected above 0, up to 1"
            )


@dataclass(frozen=True, kw_only=True)
class Resegmentation:
    """Intensities that stay: within a closed range, and within `sigma` deviations of the mean."""

    range: tuple[float, float] | None = None
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.range is not None and not (
            len(self.range) == 2
            and all(_number(one, infinite=True) for one in self.range)
            and self.range[0] < self.range[1]
        ):
            raise InputError(
                f"resegment.range is {list(self.range)}; expected its lower and its upper end"
            )
        if self.sigma is not None and not (_number(self.sigma) and self.sigma > 0):
            raise InputError(f"resegment.sigma is {self.sigma!r}; expected a number above 0")


@dataclass(frozen=True, kw_only=True)
class Bins:
    """How intensities become bins: by `method`, with a number of bins, or a width and an anchor."""

    method: str
    number: int | None = None
    width: float | None = None
    anchor: float | None = None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All settings of a set of features. `name` is not part of the hash.

    aggregations  of `AGGREGATIONS`; the families without directions follow their dimensions
    families      of `FAMILIES`; bins that none of them needs have the method "none"
    round         whether intensities are whole numbers (CT), also after interpolation
    filter        what answers to the interpolated image; re-segmentation is by the image itself
    """

    name: str
    aggregations: tuple[str, ...]
    discretise: Bins
    volume_histogram: Bins
    round: bool = False
    interpolate: Interpolation | None = None
    resegment: Resegmentation = Resegmentation()
    families: tuple[str, ...] = FAMILIES
    filter: ibsi_filters.Filter | None = None

    def __post_init__(self) -> None:
        _check_several("aggregations", self.aggregations, AGGREGATIONS)
        _check_several("families", self.families, FAMILIES)
        if not isinstance(self.round, bool):
            raise InputError(f"round is {self.round!r}; expected true or false")
        if DISCRETISED & {*self.families}:
            _check_bins("discretise", self.discretise, ("levels", "fixed_number", "fixed_size"))
        if HISTOGRAM & {*self.families}:
            _check_bins(
                "volume_histogram", self.volume_histogram, ("direct", "fixed_number", "fixed_size")
            )

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The aggregations of families without directions: "2D", "2_5D", "3D"."""
        return tuple(dict.fromkeys(one.rsplit("_", 1)[0] for one in self.aggregations))

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the settings' SHA-256."""
        settings = {key: value for key, value in asdict(self).items() if key != "name"}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def names() -> tuple[str, ...]:
    """Names of the configurations that ship."""
    folder = files("igdd").joinpath("metrics", "ibsi_configurations")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name[-5:] == ".toml"))


def configuration(wanted: str | Path) -> Configuration:
    """A configuration by its name, or of a TOML file."""
    path = Path(wanted)
    if path.suffix.lower() == ".toml" or path.is_file():
        return _of_file(path)
    return named(str(wanted))


def named(wanted: str) -> Configuration:
    """One of the configurations that ship."""
    known = {_key(name): name for name in names()}
    if _key(wanted) in known:
        return _shipped(known[_key(wanted)])
    near = difflib.get_close_matches(wanted, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "or the settings themselves, as TOML"
    raise InputError(
        f"configuration {wanted!r} is not known; expected one of {', '.join(names())}; {hint}"
    )


def parse(text: str, name: str) -> Configuration:
    """A configuration of TOML text; a key that is not known is refused."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"configuration {name}: is not TOML: {error}") from error
    try:
        return _build(table, name)
    except InputError as error:
        raise InputError(f"configuration {name}: {error}") from error


@cache
def _shipped(name: str) -> Configuration:
    place = files("igdd").joinpath("metrics", "ibsi_configurations", f"{name}.toml")
    return parse(place.read_text("utf-8"), name)


def _of_file(path: Path) -> Configuration:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a configuration: {error}") from error
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE} bytes; expected a configuration")
    return parse(text, str(path))


def _key(name: str) -> str:
    second = _SECOND.fullmatch(name.strip().lower())
    if second:
        return "ibsi2_" + "".join(part for part in second.groups() if part)
    parts = [part for part in re.split(r"[\s_-]+", name.lower()) if part]
    while len(parts) > 1 and parts[0] in _PREFIXES:
        parts = parts[1:]
    return "_".join(parts)


def _build(table: Mapping[str, Any], name: str) -> Configuration:
    _check_keys("", table, Configuration)
    parts: dict[str, Any] = {"name": name, **table}
    parts["aggregations"] = _list("aggregations", table.get("aggregations"), str)
    if "families" in table:
        parts["families"] = _list("families", table["families"], str)
    if "filter" in table:
        if not isinstance(table["filter"], dict):
            raise InputError(f"filter is {table['filter']!r}; expected a table [filter]")
        parts["filter"] = ibsi_filters.parse(table["filter"])
    needed = {"discretise": DISCRETISED, "volume_histogram": HISTOGRAM}
    for key, kind in (
        ("interpolate", Interpolation),
        ("resegment", Resegmentation),
        ("discretise", Bins),
        ("volume_histogram", Bins),
    ):
        if key in table:
            parts[key] = _section(key, table[key], kind)
        elif kind is Bins and not needed[key] & {*parts.get("families", FAMILIES)}:
            parts[key] = Bins(method="none")
        elif kind is Bins:
            raise InputError(f"[{key}] is missing; expected a table with a method")
    return Configuration(**parts)


def _section(key: str, table: Any, kind: type) -> Any:
    if not isinstance(table, dict):
        raise InputError(f"{key} is {table!r}; expected a table [{key}]")
    _check_keys(key + ".", table, kind)
    required = {"interpolate": ("spacing_mm", "image")}.get(key, ())
    for name in required if kind is not Bins else ("method",):
        if name not in table:
            raise InputError(f"{key}.{name} is missing")
    lists = {name for name in ("spacing_mm", "range") if name in table}
    return kind(**table | {name: _list(f"{key}.{name}", table[name], float) for name in lists})


def _check_keys(where: str, table: Mapping[str, Any], kind: type) -> None:
    known = [field.name for field in fields(kind) if field.name != "name"]
    for key in table:
        if key not in known:
            raise InputError(f"{where}{key} is not known; expected one of {', '.join(known)}")


def _list(where: str, value: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{where} is {value!r}; expected a list")
    if kind is float and not all(_number(one, infinite=True) for one in value):
        raise InputError(f"{where} is {value!r}; expected numbers")
    return tuple(float(one) if kind is float else one for one in value)


def _check_several(where: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not values:
        raise InputError(f"{where} is empty; expected of {', '.join(known)}")
    for one in values:
        _choose(where, one, known)
    if len(set(values)) != len(values):
        raise InputError(f"{where} names one twice: {', '.join(values)}")


def _check_bins(where: str, bins: Bins, methods: tuple[str, ...]) -> None:
    _choose(f"{where}.method", bins.method, methods)
    needed = {"fixed_number": ("number",), "fixed_size": ("width", "anchor")}.get(bins.method, ())
    for key in ("number", "width", "anchor"):
        value = getattr(bins, key)
        if value is None and key in needed:
            raise InputError(f"{where}.{key} is missing; method {bins.method!r} needs it")
        if value is not None and key not in needed:
            raise InputError(f"{where}.{key} means nothing with method {bins.method!r}; leave out")
        if value is not None and not _number(value):
            raise InputError(f"{where}.{key} is {value!r}; expected a finite number")
    if bins.width is not None and not bins.width > 0:
        raise InputError(f"{where}.width is {bins.width:g}; expected above 0")
    if bins.number is not None and not (isinstance(bins.number, int) and bins.number > 1):
        raise InputError(f"{where}.number is {bins.number}; expected a whole number above 1")


def _choose(where: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{where} is {value!r}; expected one of {', '.join(known)}")


def _number(value: Any, infinite: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return False
    return abs(value) <= 1e12 or (infinite and math.isinf(value))
