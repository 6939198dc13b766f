"""The package's own door: every public name is there, and importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import igdd

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", igdd.__all__)
def test_every_public_name_resolves(name):
    assert getattr(igdd, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        igdd.magic  # noqa: B018


def test_importing_the_package_imports_no_library():
    code = "import sys, igdd; assert not {'numpy', 'pandas', 'pydicom'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cu_64_decays_as_published():
    # 400 MBq after 24 and 48 h, printed to 0.01 MBq with a half-life of 12.701 h (107.952, 29.134);
    # ICRP-107 has 12.700 h (107.940, 29.128), so the first is met to 0.01 MBq, 1e-4 relative.
    day = 86400.0
    assert igdd.activity(400.0, "Cu-64", day) == pytest.approx(107.95, abs=0.0105)
    assert igdd.activity(400.0, "Cu-64", 2 * day) == pytest.approx(29.13, abs=0.005)


@pytest.mark.integration
def test_the_wheel_holds_everything_that_the_package_needs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(PROJECT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("igdd-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("igdd/")}
    source = {
        path.relative_to(PROJECT / "src").as_posix()
        for path in (PROJECT / "src/igdd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == source
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    listed = subprocess.run(
        [sys.executable, "-c", "import igdd, igdd.decay as d; print(d.nuclide('Zr-89').half_life)"],
        capture_output=True, text=True, check=False, cwd=unpacked,
    )  # fmt: skip
    assert float(listed.stdout) == 282276.0
