from __future__ import annotations

import gzip

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from igdd.errors import InputError
from igdd.io import bids, nifti, streamed
from igdd.types import Grid

GRID = Grid(shape=(4, 3, 5), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
KIND = np.dtype("<f4")


def values_of(frames: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((*GRID.shape, frames)).astype(np.float32)


def expected(values: np.ndarray, first: int, last: int) -> np.ndarray:
    return values.reshape(-1, values.shape[3], order="F")[first:last].T


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("first", "last"), [(0, 60), (0, 1), (13, 41), (59, 60)])
def test_pieces_of_a_file_are_its_voxels_in_order(tmp_path, packed, first, last):
    values = values_of()
    path = tmp_path / f"image.nii{'.gz' if packed else ''}"
    bids.write_nifti(path, values, GRID)
    with streamed.opened(path, tmp_path) as pieces:
        assert pieces.frames == 6
        assert pieces.grid.equals(GRID)
        found = pieces.read(first, last)
        assert found.flags.c_contiguous
        assert_array_equal(found, expected(values, first, last))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("order", ["C", "F", "sliced"])
def test_pieces_of_an_array_do_not_depend_on_its_memory(order):
    values = values_of()
    wide = np.repeat(values, 2, axis=1)
    given = wide[:, ::2] if order == "sliced" else np.array(values, order=order)
    pieces = streamed.of_array(given, GRID)
    assert_array_equal(pieces.read(7, 33), expected(values, 7, 33))


def test_samples_are_scaled_as_the_header_says(tmp_path):
    import nibabel

    stored = np.arange(GRID.size * 2).reshape(*GRID.shape, 2).astype(np.int16)
    image = nibabel.Nifti1Image(stored, GRID.affine)
    image.header.set_slope_inter(0.5, 3.0)
    image.header["xyzt_units"] = 10
    nibabel.save(image, tmp_path / "scaled.nii")
    whole = nifti.read_image(tmp_path / "scaled.nii").values
    with streamed.opened(tmp_path / "scaled.nii", tmp_path) as pieces:
        found = pieces.read(5, 22)
        assert found.dtype == np.float32
        assert_array_equal(found, expected(whole, 5, 22))


def test_a_draft_becomes_a_file_only_when_all_are_whole(tmp_path):
    files = {name: (tmp_path / f"{name}.nii", KIND) for name in ("one", "two")}
    volume = values_of(1)[..., 0]
    flat = np.ascontiguousarray(volume.ravel(order="F"))
    with streamed.drafts(files, GRID) as streams:
        for stream in streams.values():
            stream.write(flat[:20].data)
            stream.write(flat[20:].data)
        assert not list(tmp_path.glob("*.nii"))
    for path, _ in files.values():
        assert_array_equal(nifti.read_image(path).values[..., 0], volume)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_draft_that_fails_is_gone(tmp_path):
    def fail() -> None:
        with streamed.drafts({"one": (tmp_path / "one.nii", KIND)}, GRID) as streams:
            streams["one"].write(b"1234")
            raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        fail()
    assert not list(tmp_path.iterdir())


def test_hostile_sizes_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "image.nii"
    bids.write_nifti(path, values_of(), GRID)
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(InputError, match="cut short"), streamed.opened(path, tmp_path):
        pass
    packed = tmp_path / "packed.nii.gz"
    packed.write_bytes(gzip.compress(content)[:-20])
    with pytest.raises(InputError, match="damaged or cut short"), streamed.opened(packed, tmp_path):
        pass
    packed.write_bytes(gzip.compress(content))
    monkeypatch.setenv("IGDD_MEMORY_BUDGET", "100")
    with pytest.raises(InputError, match="expected at most 100"), streamed.opened(packed, tmp_path):
        pass
    assert not list(tmp_path.glob(".*"))
