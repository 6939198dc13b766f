"""Commands that make quantities of MR signals: `igdd concentration`, `igdd t1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, progress_bar, say

Repetition = Annotated[
    str | None,
    typer.Option("--tr", help="Time between excitations, such as '5 ms'; else the JSON."),
]
Share = Annotated[
    Path | None, typer.Option("--b1", help="Map of the share of the flip angle that was reached.")
]
ShareUnit = Annotated[
    str | None, typer.Option("--b1-unit", help="Of a map that does not say: 1 or %.")
]


@app.command()
def concentration(
    out: Annotated[Path, typer.Option("--out", help="Folder for the result.")],
    t1: Annotated[
        list[str],
        typer.Option(
            "--t1", help="Before contrast: '1400 ms', a map, or REGION='1600 ms' for curves."
        ),
    ],
    r1: Annotated[
        list[str], typer.Option("--r1", help="Relaxivity: '3.7 L/mmol/s'; REGION=... for curves.")
    ],
    baseline: Annotated[
        str, typer.Option("--baseline", help="Frames before the agent: 5, 2-5, or until '30 s'.")
    ],
    image: Annotated[
        Path | None, typer.Option("--image", help="Dynamic NIfTI with its sidecar, or DICOM.")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option("--curves", help="Curves of signals, a column for each region.")
    ] = None,
    tr: Repetition = None,
    flip: Annotated[
        str | None, typer.Option("--flip", help="Flip angle, such as '15 deg'; else the JSON's.")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option("--interval", help="From volume to volume, where the file does not say."),
    ] = None,
    t1_unit: Annotated[
        str | None, typer.Option("--t1-unit", help="Of a map that does not say: ms, s or 1/s.")
    ] = None,
    b1: Share = None,
    b1_unit: ShareUnit = None,
    as_json: AsJson = False,
) -> None:
    """Contrast agent in mmol/L from signals of dynamic MR. What `map` and `fit` take."""
    from igdd.stages.concentration import as_json as described
    from igdd.stages.concentration import by_region, text
    from igdd.stages.concentration import concentration as convert

    with progress_bar(as_json) as progress:
        found = convert(
            image, curves, out=out, t1=by_region(t1, "--t1"), r1=by_region(r1, "--r1"),
            baseline=baseline, tr=tr, flip=flip, interval=interval, t1_unit=t1_unit,
            b1=b1, b1_unit=b1_unit,
            progress=lambda done, total: progress("voxels", done, total),
        )  # fmt: skip
    say(described(found), text(found), as_json)


@app.command()
def t1(
    images: Annotated[
        list[Path], typer.Argument(help="NIfTI at several flip angles, or a folder of DICOM.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the map.")],
    tr: Repetition = None,
    flip: Annotated[
        str | None, typer.Option("--flip", help="'2 deg, 5 deg, 15 deg'; else as the JSON says.")
    ] = None,
    b1: Share = None,
    b1_unit: ShareUnit = None,
    as_json: AsJson = False,
) -> None:
    """T1 of every voxel from several flip angles. What `concentration --t1` takes."""
    from igdd.stages.relaxation import as_json as described
    from igdd.stages.relaxation import t1 as relaxed
    from igdd.stages.relaxation import text

    with progress_bar(as_json) as progress:
        found = relaxed(
            images, out=out, tr=tr, flip=flip, b1=b1, b1_unit=b1_unit,
            progress=lambda done, total: progress("voxels", done, total),
        )  # fmt: skip
    say(described(found), text(found), as_json)
