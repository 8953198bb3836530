"""Laws of reverse geometry."""

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.reverse import mirror_segments, reverse_batch, reverse_sample, reverse_time


def make_batch(lengths, total, frames_per_position=1, features=False):
    """A batch whose frame t of sample b holds 10 * b + t + 1; padding as the datasets lay it."""
    inputs, masks, segments, labels = [], [], [], []
    for b, length in enumerate(lengths):
        valid = torch.arange(length * frames_per_position) + 10 * b + 1
        pad = total * frames_per_position - len(valid)
        tail = torch.zeros(pad, dtype=valid.dtype) if features else valid[-1:].repeat(pad)
        inputs.append(torch.cat([valid, tail]))
        masks.append(torch.arange(total) < length)
        segments.append(torch.tensor([[0.0, 1.5], [0.25, length - 1.0]]))
        labels.append(torch.tensor([0, 1]))
    inputs = torch.stack(inputs)
    inputs = inputs[:, None].float() if features else inputs[:, None, :, None, None].expand(-1, 3, -1, 2, 2)
    return {
        "inputs": inputs,
        "masks": torch.stack(masks),
        "gt_segments": segments,
        "gt_labels": labels,
        "meta": ["a"] * len(lengths),
    }


lengths_strategy = st.lists(st.integers(1, 8), min_size=1, max_size=4)


@given(lengths_strategy, st.sampled_from([1, 2]), st.booleans())
def test_reversing_twice_is_identity(lengths, frames_per_position, features):
    batch = make_batch(lengths, 8, 1 if features else frames_per_position, features)
    twice = reverse_batch(reverse_batch(batch))
    assert torch.equal(twice["inputs"], batch["inputs"])
    assert torch.equal(twice["masks"], batch["masks"])
    for name in ("gt_segments", "gt_labels"):
        for got, want in zip(twice[name], batch[name], strict=True):
            close(got, want)


@given(lengths_strategy, st.sampled_from([1, 2]))
def test_valid_part_is_reversed_and_padding_repeats_its_last_frame(lengths, frames_per_position):
    batch = make_batch(lengths, 8, frames_per_position)
    reversed_batch = reverse_batch(batch)
    for b, length in enumerate(lengths):
        n = length * frames_per_position
        before, after = batch["inputs"][b, 0, :, 0, 0], reversed_batch["inputs"][b, 0, :, 0, 0]
        assert torch.equal(after[:n], before[:n].flip(0))
        assert (after[n:] == before[0]).all()


def test_segments_follow_their_frames():
    batch = make_batch([5], 8)
    reversed_batch = reverse_batch(batch)
    assert torch.equal(reversed_batch["gt_segments"][0], torch.tensor([[0.0, 3.75], [2.5, 4.0]]))
    assert torch.equal(reversed_batch["gt_labels"][0], torch.tensor([1, 0]))


def test_sample_and_batch_agree():
    batch = make_batch([3, 7], 8)
    sample = {key: value[1] for key, value in batch.items()}
    want = reverse_batch(batch)
    got = reverse_sample(sample)
    assert torch.equal(got["inputs"], want["inputs"][1])
    assert torch.equal(got["gt_segments"], want["gt_segments"][1])
    assert got["meta"] == "a"


def test_batch_without_ground_truth():
    batch = make_batch([3], 4)
    del batch["gt_segments"], batch["gt_labels"]
    assert set(reverse_batch(batch)) == {"inputs", "masks", "meta"}


@given(st.integers(1, 50), st.floats(-5, 60), st.floats(0, 30))
def test_mirrored_segments_keep_their_length(length, start, duration):
    segment = torch.tensor([[start, start + duration]], dtype=torch.float64)
    mirrored = mirror_segments(segment, length)
    assert mirrored[0, 1] - mirrored[0, 0] == pytest.approx(duration)
    close(mirror_segments(mirrored, length), segment, scale=length)


def test_unknown_padding_is_an_error():
    with pytest.raises(ValueError, match=r"'wrap'.*'edge', 'keep'"):
        reverse_time(torch.zeros(1, 4), torch.tensor([4]), dim=1, pad="wrap")
