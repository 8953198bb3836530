import pytest
import torch
import torch.nn.functional as F
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.models.heads.action_former_head import join_levels, part_levels
from opentad_bi.models.layers.conv import ConvUnit
from opentad_bi.models.layers.norm import ScaledDropPath
from opentad_bi.models.projections.attention import TransformerBlock
from opentad_bi.registry import LOSSES, PROJECTIONS


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_joined_levels_do_not_see_each_other(lengths, seed):
    torch.manual_seed(seed)
    levels = [torch.randn(2, 4, length) for length in lengths]
    masks = [torch.arange(n) < torch.tensor([[n], [n - n // 2]]) for n in lengths]
    units = [ConvUnit(4, 4), ConvUnit(4, 4), ConvUnit(4, 4)]
    joined, mask = join_levels(levels, masks, 1)
    single = levels
    for unit in units:
        joined, mask = unit(joined, mask)
        single = [unit(x, m)[0] for x, m in zip(single, masks, strict=True)]
    for a, b in zip(part_levels(joined, lengths, 1), single, strict=True):
        close(a, b, ulps=1024)


def test_norm_cfg_sets_the_epsilon_of_every_convolution():
    def norms(norm_cfg, **options):
        args = {"in_channels": 4, "out_channels": 8, "arch": (2, 1, 1), "max_seq_len": 8, **options}
        projection = PROJECTIONS.build({"type": "Conv1DTransformerProj", "norm_cfg": norm_cfg, **args})
        return [unit.norm for unit in projection.modules() if isinstance(unit, ConvUnit) and unit.conv.groups == 1]

    assert [norm.eps for norm in norms({"type": "LN"})] == [1e-6] * 2
    assert [norm.eps for norm in norms({"type": "LN", "eps": 1e-3})] == [1e-3] * 2
    assert [norm.eps for norm in norms({"type": "LN", "eps": 1e-3}, in_channels=[2, 2], out_channels=[4, 4])] == [
        1e-3
    ] * 4
    assert norms(None) == [None] * 2


def test_focal_loss_without_focus_is_cross_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(20, 3), torch.rand(20, 3)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    plain = LOSSES.build({"type": "FocalLoss", "gamma": 0.0, "alpha": -1.0})(logits, targets)
    close(plain, entropy)
    assert (LOSSES.build({"type": "FocalLoss"})(logits, targets) < entropy).all()


@pytest.mark.parametrize("kind", ["DIOULoss", "GIOULoss"])
def test_segment_losses_fall_to_zero_on_the_target(kind):
    loss, target = LOSSES.build({"type": kind}), torch.tensor([[2.0, 6.0]])
    values = [loss(torch.tensor([[2.0 - d, 6.0 + d]]), target).item() for d in (0, 1, 2, 4)]
    assert abs(values[0]) < 1e-5 and values == sorted(values)


def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    torch.manual_seed(0)
    drop = ScaledDropPath(3, 0.25, init_scale=2.0)
    x = torch.ones(4000, 3, 2)
    out = drop(x)
    assert out.unique().tolist() == pytest.approx([0.0, 2 / 0.75])
    assert (out.flatten(1).amin(1) == out.flatten(1).amax(1)).all()
    assert out.mean().item() == pytest.approx(2, abs=0.1)
    assert (drop.eval()(x) == 2).all()


def test_a_block_without_stochastic_depth_has_no_scales():
    block = TransformerBlock(4, n_head=2, stride=2, window=3)
    assert not any("scale" in name for name, _ in block.named_parameters())
    out, mask = block(torch.randn(2, 4, 8), torch.ones(2, 8, dtype=torch.bool))
    assert out.shape == (2, 4, 4) and mask.shape == (2, 4)
