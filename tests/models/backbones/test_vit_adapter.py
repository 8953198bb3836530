"""The VideoMAE transformer: adapters, freezing, checkpointing, position table."""

import pytest
import torch
import torch.nn.functional as F
from close import close

from opentad_bi.models.backbones.adapters import Adapter, PlainAdapter
from opentad_bi.models.backbones.vit_adapter import DropPath, VisionTransformerAdapter, resize_table, sine_cosine_table

SMALL = {"img_size": 48, "embed_dims": 32, "depth": 2, "num_heads": 4, "num_frames": 4, "total_frames": 8}


def make(seed=0, shake=True, **options):
    """A small network; `shake` moves every parameter, so that adapters are not the identity any more."""
    torch.manual_seed(seed)
    vit = VisionTransformerAdapter(**{**SMALL, **options})
    if shake:
        with torch.no_grad():
            for parameter in vit.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return vit


def clips(count=2, side=32, seed=1):
    return torch.randn(count, 3, 4, side, side, generator=torch.Generator().manual_seed(seed))


def train_only(module, pattern):
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(pattern in name)


def test_map_has_one_step_per_two_frames_and_one_place_per_patch():
    assert make()(clips(side=48)).shape == (2, 32, 2, 3, 3)


@pytest.mark.parametrize("options", [{}, {"adapter_type": "PlainAdapter"}, {"bi_adapter": True}])
def test_fresh_adapters_change_nothing(options):
    plain = make(shake=False, adapter_index=[])
    adapted = make(shake=False, **options)
    adapted.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(adapted(clips()), plain(clips()))


def test_adapter_index_and_bi_adapter_place_the_modules():
    keys = make(adapter_index=[1], bi_adapter=True).state_dict()
    blocks = {key.split(".")[1] for key in keys if ".adapter." in key}
    assert blocks == {key.split(".")[1] for key in keys if ".bi_adapter." in key} == {"1"}
    assert next(k for k in keys if "bi_adapter" in k) == "blocks.1.bi_adapter.gamma"
    assert not [k for k in make(adapter_type="PlainAdapter").state_dict() if "conv" in k]


@pytest.mark.parametrize("kind", ["Adapter", "PlainAdapter"])
def test_adapters_are_as_wide_as_told(kind):
    vit = make(adapter_type=kind, adapter_mlp_ratio=0.5, bi_adapter=True)
    for block in vit.blocks:
        assert block.adapter.down_proj.out_features == block.bi_adapter.down_proj.out_features == 16


def test_bi_adapter_acts_after_the_adapter():
    block = make(bi_adapter=True).blocks[0]
    x = torch.randn(2, 8, 32)
    seen = {}
    for name in ("adapter", "bi_adapter"):
        getattr(block, name).register_forward_hook(lambda _, args, out, name=name: seen.update({name: (args[0], out)}))
    out = block(x, 2, 2)
    assert seen["bi_adapter"][0] is seen["adapter"][1] and out is seen["bi_adapter"][1]


def test_adapter_equals_convolutions_along_time_of_each_place():
    torch.manual_seed(0)
    videos, time, places, width = 2, 6, 4, 16
    adapter = Adapter(width, temporal_size=time, kernel_size=3, dilation=2)
    torch.nn.init.normal_(adapter.up_proj.weight)
    x = torch.randn(videos * 2, time // 2 * places, width)
    z = F.gelu(adapter.down_proj(x)).view(videos, time, places, -1)
    line = z.permute(0, 2, 3, 1).flatten(0, 1)
    u = F.conv1d(line, adapter.dwconv.weight, adapter.dwconv.bias, padding=2, dilation=2, groups=4)
    u = adapter.conv(u).view(videos, places, -1, time).permute(0, 3, 1, 2)
    expected = x + adapter.gamma * adapter.up_proj((z + u).reshape(*x.shape[:2], -1))
    close(adapter(x, 2, 2), expected)


def test_adapters_see_across_clips_of_a_window_only():
    vit = make().eval()
    x = clips(4)
    y = vit(x)
    changed = x.clone()
    changed[1] += 1
    moved = (vit(changed) - y).abs().amax((1, 3, 4)) > 0
    assert moved.tolist() == [[True, True]] * 2 + [[False, False]] * 2


def test_plain_adapter_sees_no_other_clip():
    vit = make(adapter_type="PlainAdapter").eval()
    x = clips(2)
    close(vit(x)[:1], vit(x[:1]))


def test_recomputation_changes_neither_output_nor_gradients():
    results = []
    for with_cp in (False, True):
        vit = make(with_cp=with_cp, drop_path_rate=0.5, depth=3).train()
        train_only(vit, "adapter")
        torch.manual_seed(3)
        out = vit(clips())
        out.square().sum().backward()
        results.append([out.detach(), *(p.grad for p in vit.parameters() if p.grad is not None)])
    assert len(results[0]) == 1 + 3 * 9
    for one, other in zip(*results, strict=True):
        close(one, other)


def saved_bytes(vit, x):
    """Bytes that autograd keeps for the backward pass, parameters left out."""
    own = {p.data_ptr() for p in vit.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = vit(x)
    assert out.requires_grad
    return sum(kept.values())


def test_recomputation_keeps_less():
    few, many = (make(with_cp=with_cp, depth=4) for with_cp in (True, False))
    for vit in (few, many):
        train_only(vit, "adapter")
    assert saved_bytes(few, clips()) < 0.5 * saved_bytes(many, clips())


def test_nothing_is_kept_in_front_of_the_first_trainable_adapter():
    vit = make(depth=1)
    train_only(vit, "adapter")
    inner = 2 * 2 * 4 * 8 * 4  # bytes of one (clips, tokens, 8) map
    # GELU's input, its output, the image of the convolution and its output, the sum: never a map of full width
    assert saved_bytes(vit, clips()) <= 4 * inner + 2 * 2 * 4 * 32 * 4 + 32 * 8 * 4
    grads = []
    vit.blocks[0].mlp.register_forward_hook(lambda _, __, out: grads.append(out.requires_grad))
    vit(clips())
    assert grads == [False]


def test_gradients_of_a_frozen_network_equal_those_of_a_trainable_one():
    frozen, free = make(), make()
    train_only(frozen, "adapter")
    for vit in (frozen, free):
        vit(clips()).square().sum().backward()
    for one, other in zip(frozen.parameters(), free.parameters(), strict=True):
        if one.requires_grad:
            close(one.grad, other.grad, ulps=1024)
        else:
            assert one.grad is None


def test_all_parameters_but_the_unused_norm_learn():
    vit = make(bi_adapter=True)
    vit(clips()).square().sum().backward()
    assert {n for n, p in vit.named_parameters() if p.grad is None} == {"fc_norm.weight", "fc_norm.bias"}


def test_drop_path_keeps_whole_clips_and_the_mean():
    drop = DropPath(0.25).train()
    torch.manual_seed(0)
    out = drop(torch.zeros(4000, 2), torch.ones(4000, 2))
    kept = torch.isclose(out, torch.tensor(4 / 3)).all(1)
    assert ((out == 0).all(1) | kept).all()
    assert abs(kept.float().mean() - 0.75) < 0.03
    assert torch.equal(drop.eval()(torch.zeros(4, 2), torch.ones(4, 2)), torch.ones(4, 2))


def test_drop_path_grows_linearly_with_depth():
    rates = [block.drop_path.rate for block in make(depth=3, drop_path_rate=0.3).blocks]
    assert rates == pytest.approx([0, 0.15, 0.3])


def test_position_table_is_resized_once_per_size_and_follows_its_source():
    vit = make().eval()
    vit(clips())
    first = vit._positions(2, 2)
    assert vit._positions(2, 2) is first
    expected = resize_table(vit.pos_embed, vit.grid, (2, 2))
    assert torch.equal(first, expected)
    state = vit.state_dict()
    vit.load_state_dict({**state, "pos_embed": 2 * state["pos_embed"]})
    close(vit._positions(2, 2), 2 * expected)
    assert vit.double()._positions(2, 2).dtype == torch.float64
    assert vit._positions(3, 3) is vit.pos_embed


def test_position_cache_made_in_inference_mode_serves_training():
    vit = make()
    with torch.inference_mode():
        vit(clips())
    vit(clips()).sum().backward()


def test_position_table_holds_sines_and_cosines():
    table = sine_cosine_table(5, 6)
    assert table[0].tolist() == [0, 1, 0, 1, 0, 1]
    angle = torch.tensor(3 / 10000 ** (2 / 6))
    close(table[3, 2:4], torch.stack([angle.sin(), angle.cos()]))


def test_low_precision_keeps_the_residual_stream_in_float32():
    vit = make(drop_path_rate=0.2).train()
    with torch.autocast("cpu", torch.bfloat16):
        out = vit(clips())
    assert out.dtype == torch.float32
    out.sum().backward()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adapter_index": [5]}, "0 ... 1"),
        ({"adapter_type": "PlainAdaptr"}, "PlainAdapter"),
        ({"norm_cfg": {"type": "BN"}}, "LN"),
        ({"total_frames": 9}, "whole clips"),
        ({"num_heads": 5}, "num_heads"),
        ({"drop_path_rate": 1.0}, "drop_path_rate"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        make(shake=False, **options)


@pytest.mark.parametrize("shape", [(2, 3, 6, 32, 32), (2, 3, 4, 32, 40)])
def test_wrong_clips_are_named(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        make()(torch.zeros(shape))


def test_clips_that_make_no_whole_window_are_named():
    with pytest.raises(ValueError, match="total_frames"):
        make()(clips(3))


def test_plain_adapter_is_the_adapter_without_time():
    torch.manual_seed(0)
    full, plain = Adapter(16, temporal_size=4), PlainAdapter(16)
    for weights in (full.conv, full.up_proj):
        torch.nn.init.normal_(weights.weight)
    torch.nn.init.zeros_(full.conv.weight)
    plain.load_state_dict({k: v for k, v in full.state_dict().items() if "conv" not in k})
    x = torch.randn(2, 8, 16)
    close(full(x, 2, 2), plain(x, 2, 2))
