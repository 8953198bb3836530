"""Checksums of archives: no changed bit reaches a network, and what is not data at all is called by its name."""

import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import SHARED

from opentad_bi.datasets.common.feature_files import feature_shape, read_features
from opentad_bi.engine.checkpoint import load_latest, save_checkpoint
from opentad_bi.utils.arrays import check_archive
from opentad_bi.utils.weight_files import read_content

STATE = {"weight": torch.linspace(-1, 1, 48).reshape(6, 8), "bias": torch.arange(5.0), "none": torch.empty(0)}


def flip(path, byte, bit):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    torch.save(STATE, folder / "w.pth")
    arrays = {name: tensor.numpy() for name, tensor in STATE.items()}
    np.savez(folder / "w.npz", **arrays)
    np.savez_compressed(folder / "small.npz", **arrays)
    return folder


@pytest.mark.parametrize("name", ["w.pth", "w.npz", "small.npz"])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_or_is_an_error_that_names_the_file(files, tmp_path_factory, name, place, bit):
    path = tmp_path_factory.getbasetemp() / f"flipped_{name}"
    path.write_bytes((files / name).read_bytes())
    flip(path, int(place * path.stat().st_size), bit)
    try:
        content, message = read_content(path), ""
    except ValueError as error:
        content, message = {}, str(error)
    assert str(path) in message or all(torch.equal(content[key], tensor) for key, tensor in STATE.items())


@pytest.mark.parametrize("name", ["w.pth", "w.npz"])
def test_every_member_is_compared_with_its_checksum_and_named(files, tmp_path, name):
    whole = (files / name).read_bytes()
    check_archive(files / name)
    with zipfile.ZipFile(files / name) as archive:
        members = [info for info in archive.infolist() if info.file_size]
        starts = {info.filename: whole.index(archive.read(info), info.header_offset) for info in members}
    assert len(starts) >= 2
    for member, start in starts.items():
        (tmp_path / name).write_bytes(whole)
        flip(tmp_path / name, start, 0)
        with pytest.raises(ValueError, match=rf"{name} is damaged: '{member}' in it differs from its checksum"):
            read_content(tmp_path / name)


def test_our_files_have_checksums_and_a_file_without_them_is_read(tmp_path):
    save_checkpoint(tmp_path / "ours.pth", {"state_dict": STATE})
    with zipfile.ZipFile(tmp_path / "ours.pth") as archive:
        assert all(info.CRC for info in archive.infolist() if info.file_size)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "without.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "without.pth") as archive:
        assert not any(info.CRC for info in archive.infolist())
    assert torch.equal(read_content(tmp_path / "without.pth")["weight"], STATE["weight"])


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, caplog):
    for epoch in (3, 4):
        save_checkpoint(tmp_path / f"epoch_{epoch}.pth", {"format": 1, "epoch": epoch, "state_dict": STATE})
    newest = tmp_path / "epoch_4.pth"
    flip(newest, newest.read_bytes().index(STATE["weight"].numpy().tobytes()), 3)
    assert torch.load(newest)["epoch"] == 4  # torch itself sees nothing
    path, state = load_latest(tmp_path)
    assert (path.name, state["epoch"]) == ("epoch_3.pth", 3)
    assert "epoch_4.pth is damaged" in caplog.text and "this checkpoint is skipped" in caplog.text


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 605247071\n"
PAGES = ["<!DOCTYPE html><title>Sign in</title>", "\ufeff\n <HTML lang='en'>", "<?xml version='1.0'?><Error/>"]


@pytest.mark.parametrize("name", ["w.pth", "w.npz", "model.safetensors", "pytorch_model.bin"])
def test_what_a_download_left_in_place_of_weights_is_named(tmp_path, name):
    path = tmp_path / name
    for text, message in [
        (POINTER, "is a Git LFS pointer, .*git lfs pull"),
        *((page, "is an HTML page, not data: download it again") for page in PAGES),
        ("", "is damaged or not a .*: it is empty"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"{name} {message}"):
            read_content(path)


def test_the_flipped_bit_of_a_users_file_is_found():
    path = SHARED / "cases" / "files" / "bitflip_in_weight.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with pytest.raises(ValueError, match=r"bitflip_in_weight\.pth is damaged: 'archive/data/2'"):
        read_content(path)


@pytest.mark.parametrize("name", ["v.pt", "v.npz"])
def test_a_flipped_bit_of_features_is_found(tmp_path, name):
    path, table = tmp_path / name, np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 4)
    if name == "v.pt":
        torch.save({"feats": torch.from_numpy(table)}, path)
    else:
        np.savez(path, feats=table)
    assert np.array_equal(read_features(path), table)
    flip(path, path.read_bytes().index(table[3].tobytes()), 6)
    with pytest.raises(ValueError, match=rf"{name} is damaged: '.*' in it differs from its checksum"):
        read_features(path)


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.pt", "v.pkl", "v.csv"])
def test_a_pointer_in_place_of_features_is_named(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    for read in (read_features, feature_shape):
        with pytest.raises(ValueError, match=rf"{name} cannot be read.*: it is a Git LFS pointer"):
            read(tmp_path / name)
