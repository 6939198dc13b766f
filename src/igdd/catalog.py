"""Finds every declaration: by scanning the folders of the package, and by entry points.

A new model, metric, modality, reader or comparison is one file with a tuple of declarations in it;
another distribution adds its own through the entry-point group `igdd.declarations` (a module).
Importing a declaring module is cheap: heavy libraries stand inside its functions.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from igdd.declare import REQUIRED, Comparison, Metric, Modality, Model, Reader, summary
from igdd.errors import InputError, StudyError

if TYPE_CHECKING:
    from pathlib import Path

    from igdd.types import Grid, Regions, Series

# kind -> (folder of the package, name of the tuple in a module, class of its members)
PLACES: Mapping[str, tuple[str, str, type]] = MappingProxyType(
    {
        "readers": ("io", "READERS", Reader),
        "modalities": ("modalities", "MODALITIES", Modality),
        "models": ("models", "MODELS", Model),
        "metrics": ("metrics", "METRICS", Metric),
        "comparisons": ("comparisons", "COMPARISONS", Comparison),
    }
)


@cache
def declarations(kind: str) -> Mapping[str, Any]:
    """Every declaration of a kind ("metrics", "readers", ...), by name in alphabetical order."""
    if kind not in PLACES:
        raise InputError(f"{kind!r} cannot be declared; expected one of {', '.join(PLACES)}")
    folder, label, expected = PLACES[kind]
    found: dict[str, Any] = {}
    for module in _modules(folder):
        declared: tuple[Any, ...] = getattr(module, label, ())
        for declaration in declared:
            if not issubclass(type(declaration), expected):
                raise InputError(
                    f"{module.__name__}.{label} holds {declaration!r}; "
                    f"expected igdd.declare.{expected.__name__}"
                )
            if declaration.name in found:
                raise InputError(
                    f"{module.__name__}: {kind} already hold one named {declaration.name!r}"
                )
            found[declaration.name] = declaration
    return MappingProxyType(dict(sorted(found.items())))


def find(kind: str, name: str) -> Any:
    """One declaration by name; an unknown name raises StudyError with the nearest ones."""
    known = declarations(kind)
    if name in known:
        return known[name]
    near = _nearest(name, known)
    mend = f"did you mean {', '.join(near)}?" if near else f"expected one of {', '.join(known)}"
    raise StudyError(f"{name!r} is not one of the {kind}; {mend}")


def _nearest(name: str, known: Mapping[str, Any]) -> list[str]:
    """Names that a wrong one may stand for: those that the field writes so, else the likest."""
    plain = _plain(name)
    abbreviated = [
        one for one, declared in known.items()
        if plain in map(_plain, (one, *getattr(declared, "also", ())))
    ]  # fmt: skip
    return abbreviated or difflib.get_close_matches(name.lower(), known, n=3)


def _plain(name: str) -> str:
    """Letters and digits alone: 2TCM, 2-TCM and "2 tcm" are one name.

    >>> _plain("2-TCM")
    '2tcm'
    """
    return "".join(filter(str.isalnum, name.lower()))


def read_series(path: Path) -> list[Series]:
    """Every image series in a file or folder, by the first reader that knows its form."""
    reader = _reader_for(path, "series")
    return list(reader.read(path))


def read_table(path: Path, reader: str) -> Any:
    """A table of measurements, by the reader named; another form of file is refused."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return find("readers", reader).read(path)


def read_regions(path: Path, grid: Grid) -> Regions:
    """The regions of a label map, SEG or RTSTRUCT, on the given grid."""
    regions: Regions = _reader_for(path, "regions").read(path, grid)
    return regions


def _reader_for(path: Path, gives: str) -> Reader:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    readers = [reader for reader in declarations("readers").values() if reader.gives == gives]
    for reader in readers:
        if reader.sniff(path):
            known: Reader = reader
            return known
    raise InputError(
        f"{path}: no reader for {gives} knows this; expected one of: "
        + "; ".join(reader.help for reader in readers)
    )


def _modules(folder: str) -> Iterator[ModuleType]:
    try:
        package = importlib.import_module(f"igdd.{folder}")
    except ModuleNotFoundError as error:
        if error.name != f"igdd.{folder}":
            raise
        return
    for item in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        yield importlib.import_module(f"igdd.{folder}.{item.name}")
    for entry in sorted(entry_points(group="igdd.declarations"), key=lambda entry: entry.name):
        yield entry.load()


def page() -> str:
    """The documentation page of everything that is declared, in Markdown."""
    lines = ["# What igdd can read, measure and compare", ""]
    for kind in PLACES:
        known = declarations(kind)
        if not known:
            continue
        lines += [f"## {kind.capitalize()}", ""]
        for name, declaration in known.items():
            lines += [f"### `{name}`", "", summary(declaration), ""]
            lines += _facts(declaration)
    return "\n".join(lines).rstrip() + "\n"


def _facts(declaration: Any) -> list[str]:
    """Other names, options, outputs and reference of a declaration, as Markdown."""
    also = getattr(declaration, "also", ())
    lines = [f"- also called {', '.join(also)}"] if also else []
    for option in getattr(declaration, "options", ()):
        default = "required" if option.default == REQUIRED else f"default {option.default!r}"
        lines.append(f"- option `{option.name}` [{option.unit}], {default}: {option.help}")
    if isinstance(declaration, Metric):
        given = declaration.gives or ((declaration.name, declaration.unit),)
        lines += [f"- gives `{metric}` [{unit}]" for metric, unit in given]
    if declaration.reference:
        lines.append(f"- reference: {declaration.reference}")
    return [*lines, ""] if lines else []
