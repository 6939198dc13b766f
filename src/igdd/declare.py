"""What can be declared: readers, modalities, models, metrics and comparisons, with their options.

A declaration stands beside its mathematics, in the same file, as a tuple named READERS,
MODALITIES, MODELS, METRICS or COMPARISONS. `igdd.catalog` finds it; nobody edits a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from igdd.errors import InputError

REQUIRED = "REQUIRED"


def _check_name(kind: str, name: str) -> None:
    if not name.isidentifier() or name != name.lower():
        raise InputError(f"{kind} name {name!r} must be a lower-case identifier")


@dataclass(frozen=True)
class Option:
    """An option of a metric, comparison or model, as the study file spells it.

    unit     UCUM unit that the text must convert to ("37 MBq" -> Bq); "1" a plain number;
             "text", "metric", "flag", "texts", "region", "of image" name the kinds that are
             no quantity; "{amount}" is the amount of the curves' concentration (mg of mg/L)
    default  REQUIRED when the user must say it; None when absence has a meaning of its own
    """

    name: str
    unit: str
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    help: str = ""

    def __post_init__(self) -> None:
        _check_name("option", self.name)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model: display unit, bounds in that unit, OSIPI CAPLEX code.

    unit    "{amount}" and "{volume}" in it stand for those of the curves' concentration (mg and L
            of mg/L), "{curve}" for the curves' own unit: `igdd.stages.amounts` puts them in
    start   values in the display unit from which a fit starts; all combinations are tried
    held    value in the display unit at which it stays unless the user frees it, or None
    fitted  whether the model fits it where it is free; else it can only be held
    known   error in the display unit up to which it is known however small it is: 0 is a value like
            any other to a share of blood, and to a rate it is not
    """

    name: str
    unit: str
    bounds: tuple[float, float] = (0.0, float("inf"))
    code: str = ""
    help: str = ""
    start: tuple[float, ...] = ()
    held: float | None = None
    fitted: bool = True
    known: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A file format: `sniff(path)` tells cheaply whether a path is of it, `read(path)` reads it.

    gives  "series" (-> list of Series), "regions" (-> Regions or a function of a Grid), "table"
    """

    name: str
    gives: Literal["series", "regions", "table"]
    sniff: Callable[..., bool]
    read: Callable[..., Any]
    help: str
    reference: str = ""

    def __post_init__(self) -> None:
        _check_name("reader", self.name)


@dataclass(frozen=True, kw_only=True)
class Modality:
    """How stored samples become numbers with a unit.

    gives "image":   calibrate(series, subject, agent, scanner, declared) -> Image
    gives "values":  calibrate(table, subject, agent) -> Values of that subject, for counted samples
    """

    name: str
    calibrate: Callable[..., Any]
    help: str
    gives: Literal["image", "values"] = "image"
    options: tuple[Option, ...] = ()
    reference: str = ""

    def __post_init__(self) -> None:
        _check_name("modality", self.name)


@dataclass(frozen=True)
class Model:
    """A kinetic model, in s, 1/s and the curves' own unit.

    predict     predict(parameters (n, p), protocol) -> curves (n, t)
    parameters  the p fitted ones; "delay" is one of them where the model has it
    needs       roles of the inputs (`igdd.kinetics.ROLES`)
    derived     macro-parameters and derive(parameters (n, p)) -> (n, d); they get their standard
                errors from the fitted ones' covariance
    prepare     prepare(protocol) -> solver(curves (n, t), sd) -> Solution: a closed form or a
                search, done for many curves at once; None: only predict is known, and regions are
                fitted from the parameters' `start`
    closed      whether that solution is final; else regions are refined on `predict`
    describes   whether the parameters are figures of the curve itself: none is fitted, and frames
                need not outnumber them
    jacobian    jacobian(parameters (n, p), protocol) -> derivatives (n, t, p) of the curves; None:
                differences are taken
    voxelwise   whether maps of it can be made (needs `prepare`)
    variant     variant(model, options in SI) -> the model as its options make it: a route without
                absorption has no ka; None: the options change no parameter
    family      "tissue", "reference", "contrast", "clearance", ...: where the docs list it
    also        what else the field calls it, such as 2TCM: so that a wrong name is answered with it
    """

    name: str
    predict: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    needs: tuple[str, ...] = ()
    help: str = ""
    reference: str = ""
    derived: tuple[Parameter, ...] = ()
    derive: Callable[..., Any] | None = None
    prepare: Callable[..., Any] | None = None
    closed: bool = False
    describes: bool = False
    voxelwise: bool = False
    jacobian: Callable[..., Any] | None = None
    variant: Callable[..., Model] | None = None
    family: str = "tissue"
    options: tuple[Option, ...] = ()
    version: int = 1
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("model", self.name)
        if self.voxelwise and self.prepare is None:
            raise InputError(f"model {self.name!r} is voxelwise but has no prepare")
        if bool(self.derived) != (self.derive is not None):
            raise InputError(f"model {self.name!r}: derived and derive come together")


@dataclass(frozen=True)
class Metric:
    """A measurement.

    level "voxels":   function(values, weights, **options) -> number or Estimate, of one region in
                      one frame; `measure` finds its uncertainty by seeded noise replicates
    level "session":  function(session, **options) -> iterable of Value
    level "subject":  function(course, **options) -> iterable of Value or FittedCurves, of one
                      subject over all sessions (`igdd.results.Course`)
    counted           of level "session", for counted samples, which have no image: counted(values,
                      subject, collected, **options) -> iterable of Value; None: not of these
    gives             the metrics it writes into the table, name and unit (except for level
                      "voxels"); an option's value stands in braces: "ratio_to_{reference}"
    question          Q1 to Q7, the section of the report
    """

    name: str
    function: Callable[..., Any]
    level: Literal["voxels", "session", "subject"]
    unit: str = "1"
    options: tuple[Option, ...] = ()
    gives: tuple[tuple[str, str], ...] = ()
    counted: Callable[..., Any] | None = None
    question: str = "Q1"
    version: int = 1
    reference: str = ""

    def __post_init__(self) -> None:
        _check_name("metric", self.name)

    @property
    def defaults(self) -> dict[str, Any]:
        """Options that the user need not give, with their values."""
        known = {option.name: option.default for option in self.options}
        return {name: value for name, value in known.items() if value != REQUIRED}


@dataclass(frozen=True)
class Comparison:
    """A comparison: function(measurements, **options) -> DataFrame of findings."""

    name: str
    function: Callable[..., Any]
    options: tuple[Option, ...] = ()
    question: str = "Q7"
    version: int = 1
    reference: str = ""

    def __post_init__(self) -> None:
        _check_name("comparison", self.name)


def summary(declaration: Reader | Modality | Model | Metric | Comparison) -> str:
    """First line of a declaration's documentation, for `igdd list` and the docs."""
    text = getattr(declaration, "help", "") or _function_of(declaration).__doc__ or ""
    return str(text).strip().split("\n")[0]


def _function_of(declaration: Any) -> Callable[..., Any]:
    for name in ("function", "calibrate", "predict", "read"):
        if hasattr(declaration, name):
            found: Callable[..., Any] = getattr(declaration, name)
            return found
    raise InputError(f"{declaration!r} declares no function")
