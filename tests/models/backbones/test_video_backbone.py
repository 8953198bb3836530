"""From frames to a sequence on the grid."""

import pytest
import torch
import torch.nn.functional as F
from close import close
from torch import nn

from opentad_bi.models.backbones.video_backbone import VideoBackbone
from opentad_bi.registry import BACKBONES


@BACKBONES.register_module()
class ChannelEcho(nn.Module):
    """Gives its input back, one step per `stride` frames; remembers the shapes it saw."""

    def __init__(self, stride=1, pooled=False):
        super().__init__()
        self.stride, self.pooled, self.seen = stride, pooled, []

    def forward(self, clips):
        self.seen.append(tuple(clips.shape))
        x = clips[:, :, :: self.stride]
        return x.mean((3, 4)) if self.pooled else x


def make(stride=1, pooled=False, **options):
    return VideoBackbone(backbone={"type": "ChannelEcho", "stride": stride, "pooled": pooled}, **options)


def frames(windows=2, length=32, side=4):
    return torch.randint(0, 256, (windows, 3, length, side, side), dtype=torch.uint8)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("clip_frames", [16, 8, None])
def test_order_of_time_is_kept_and_frames_are_normalised(clip_frames, pooled):
    video, mean, std = frames(), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    module = make(clip_frames=clip_frames, mean=mean, std=std, pooled=pooled)
    column = torch.tensor([mean, std]).view(2, 1, 3, 1, 1, 1)
    expected = ((video - column[0]) / column[1]).mean((3, 4))
    close(module(video), expected)
    count = 1 if clip_frames is None else 32 // clip_frames
    assert module.model["backbone"].seen == [(2 * count, 3, 32 // count, 4, 4)]


def test_a_crop_dimension_of_one_is_accepted():
    video, module = frames(), make()
    assert torch.equal(module(video[:, None]), module(video))


def test_sequence_is_interpolated_to_the_grid_only_where_lengths_differ():
    video = frames()
    half = make(stride=2)(video)
    assert half.shape == (2, 3, 16)
    expected = F.interpolate(half, size=32, mode="linear", align_corners=False)
    assert torch.equal(make(stride=2, output_length=32)(video), expected)
    assert torch.equal(make(output_length=32)(video), make()(video))


def test_windows_per_pass_bounds_the_batch_without_gradients_only():
    video, module = frames(windows=3), make(windows_per_pass=2)
    expected = module(video)
    with torch.no_grad():
        close(module(video), expected)
    assert [shape[0] for shape in module.model["backbone"].seen] == [6, 4, 2]


def test_input_is_not_changed():
    video = frames().float()
    before = video.clone()
    make(clip_frames=None)(video)
    assert torch.equal(video, before)


def test_constants_are_not_in_the_state_dict_but_move_with_the_module():
    module = make()
    assert not module.state_dict()
    assert module.double().mean.dtype == torch.float64


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match="clips of 16"):
        make()(frames(length=24))
    with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\)"):
        make()(torch.zeros(2, 4, 16, 4, 4))
