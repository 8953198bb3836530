"""Numbers that are not finite are refused, with the name of the video and of the tensor."""

import pytest
import torch
from torch import nn

from opentad_bi.utils.validation import check_finite, check_finite_weights

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_the_first_tensor_and_its_video_are_named(value):
    good, bad = torch.zeros(3, 4, 5), torch.zeros(3, 2)
    bad[1, 1] = value
    parts = [("inputs", good, None), ("distances of level 1", bad, None), ("class logits", bad, None)]
    with pytest.raises(ValueError, match="video 'b': distances of level 1 are not finite: 1 of 6 numbers"):
        check_finite(parts, ["a", "b", "c"])
    bad[2] = value
    with pytest.raises(ValueError, match="videos 'b', 'c': distances"):
        check_finite(parts, ["a", "b", "c"])


def test_what_is_masked_or_whole_or_empty_passes():
    maps, mask = torch.zeros(2, 3, 4), torch.ones(2, 4, dtype=torch.bool)
    maps[1, :, 3:] = -INF
    mask[1, 3:] = False
    frames = torch.zeros(2, 3, dtype=torch.uint8)
    check_finite([("maps", maps, mask[:, None]), ("frames", frames, None), ("none", torch.zeros(2, 0), None)], "ab")
    mask[0] = False
    maps[0] = NAN
    check_finite([("maps", maps, mask[:, None])], "ab")
    with pytest.raises(ValueError, match="videos 'a', 'b'"):
        check_finite([("maps", maps, None)], "ab")


def test_a_single_number_per_video_and_one_video_of_several_windows():
    with pytest.raises(ValueError, match=r"^video 'a': scores are not finite: 2 of 3 numbers are"):
        check_finite([("scores", torch.tensor([NAN, 0, INF]), None)], ["a", "a", "a"])


def test_causes():
    logits, network = torch.tensor([[INF]]), nn.Linear(1, 1)
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        check_finite([("logits", logits.half(), None)], "a", network)
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(ValueError, match=r"solver\.amp=bf16"):
        check_finite([("logits", logits, None)], "a", network)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(ValueError, match="parameters are finite"):
        check_finite([("logits", logits, None)], "a", network)
    network.weight.data.fill_(NAN)
    with pytest.raises(ValueError, match=r"own weights are not: weight$"):
        check_finite([("logits", logits, None)], "a", network)


def test_weights_name_their_file_and_tensor():
    state = {"a": torch.ones(2), "b": torch.tensor([1, NAN]), "count": torch.tensor(3), "note": "x"}
    with pytest.raises(ValueError, match=r"weights of x\.pth are not finite: 1 tensor holds .*: b;"):
        check_finite_weights(state, "x.pth")
    with pytest.raises(ValueError, match=r"2 tensors hold .*: b, c;"):
        check_finite_weights(state | {"c": torch.tensor([INF]).half()}, "x.pth")


def test_a_weight_that_is_too_large_for_the_network_is_named():
    own = {"b": torch.ones(2), "c": torch.ones(2)}
    check_finite_weights({"b": torch.tensor([1.0, 1e38], dtype=torch.float64)}, "x.pth", own)
    with pytest.raises(ValueError, match=r"1 tensor holds .*: c;"):
        check_finite_weights({"b": torch.ones(2), "c": torch.tensor([1.0, 1e300], dtype=torch.float64)}, "x.pth", own)


def test_infinities_of_a_mask_belong_to_the_network():
    mask = torch.full((3, 3), -INF).triu(1)
    check_finite_weights({"mask": mask}, "x.pth", {"mask": mask.clone()})
    for wrong in (mask.neg(), torch.full((3, 3), NAN), mask.roll(1)):
        with pytest.raises(ValueError, match="mask"):
            check_finite_weights({"mask": wrong}, "x.pth", {"mask": mask})
