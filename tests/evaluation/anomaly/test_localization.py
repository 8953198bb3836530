"""The box of a heat-map, and how it meets the annotated one; the picture of both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread

from opentad_bi.evaluation.anomaly.localization import (
    box_iou,
    enlarge,
    heat_box,
    localization,
    over_videos,
    peak_inside,
    unit_range,
)
from opentad_bi.evaluation.viz.overlay import draw_heat_frame

maps = arrays(np.float32, (3, 4, 5), elements=st.floats(-2, 2, width=16))
corners = arrays(np.float64, (2, 2), elements=st.floats(0, 1, width=16))
boxes = corners.map(lambda found: np.sort(found, axis=0).ravel())


def blob(box, value=1.0, size=(40, 60)):
    """A map that is `value` in the pixels of a box and 0 elsewhere."""
    heat = np.zeros(size, dtype=np.float32)
    left, top, right, bottom = np.round(np.array(box) * np.tile(size[::-1], 2)).astype(int)
    heat[top:bottom, left:right] = value
    return heat


@given(maps=maps)
def test_one_range_for_all_maps(maps):
    found = unit_range(maps)
    if maps.max() > maps.min():
        assert (found.min(), found.max()) == (0, 1)
        assert (np.diff(found.ravel()[np.argsort(maps, axis=None, kind="stable")]) >= 0).all()
        again = unit_range(3 * maps + 1)
        np.testing.assert_allclose(again, found, atol=1e-4)
    else:
        assert not found.any()


@given(maps=maps)
def test_enlarging_keeps_means_of_patches_and_never_overshoots(maps):
    found = enlarge(maps, 8, 10)
    assert found.shape == (3, 8, 10) and found.dtype == np.float32
    assert found.min() >= maps.min() - 1e-5 and found.max() <= maps.max() + 1e-5
    np.testing.assert_allclose(enlarge(maps, 4, 5), maps, atol=1e-6)
    inner = found.reshape(3, 4, 2, 5, 2).mean((2, 4))[:, 1:-1, 1:-1]  # a patch becomes 2 x 2 pixels around its middle
    pads = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    weights = np.outer([1, 6, 1], [1, 6, 1]) / 64
    expected = sum(weights[i, j] * pads[:, i : i + 4, j : j + 5] for i in range(3) for j in range(3))
    np.testing.assert_allclose(inner, expected[:, 1:-1, 1:-1], atol=1e-4)


@given(value=st.floats(0.125, 1, width=32), times=st.integers(2, 16))
def test_between_equal_patches_all_pixels_are_equal(value, times):
    """Else the last bit would decide where the peak is."""
    patches = np.zeros((1, 4, 4), np.float32)
    patches[0, 1:3, 1:3] = value
    heat = enlarge(patches, 4 * times, 4 * times)[0]
    middle = np.abs((np.arange(4 * times) + 0.5) / times - 2) <= 0.5
    between = middle[:, None] & middle
    assert (heat[between] == np.float32(value)).all() and (heat[~between] < value).all()


@given(first=boxes, second=boxes)
def test_intersection_over_union(first, second):
    iou = float(box_iou(first, second))
    assert 0 <= iou <= 1 and iou == pytest.approx(float(box_iou(second, first)))
    area = float(np.prod(first[2:] - first[:2]))
    assert float(box_iou(first, first)) == (pytest.approx(1) if area > 0 else 0)
    flipped = [box[[2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0] for box in (first, second)]
    assert float(box_iou(*flipped)) == pytest.approx(iou, abs=1e-6)


def test_the_box_is_that_of_the_largest_part_above_half():
    heat = np.zeros((10, 20))
    heat[1:3, 2:6] = 0.6  # 8 pixels
    heat[6:9, 10:13] = 0.7  # 9 pixels
    heat[9, 13] = 0.7  # touches by a corner alone
    heat[0, 0] = 1.0  # hottest, but small
    heat[2:8, 8] = 0.5  # not above half
    assert heat_box(heat).tolist() == [10 / 20, 6 / 10, 13 / 20, 9 / 10]
    assert heat_box(np.zeros((3, 3))) is None
    assert heat_box(np.ones((3, 3))).tolist() == [0, 0, 1, 1]


def test_numbers_over_boxes():
    box, far, whole = [0.1, 0.1, 0.3, 0.4], [0.35, 0.35, 0.45, 0.5], [0.0, 0.0, 1.0, 0.99]
    heats = [blob(box), blob(box), blob(box), blob(whole), np.zeros((40, 60))]
    found = localization(heats[:1], [heat_box(heats[0])])
    assert found == {"boxes": 1, "pointing": 1.0, "iou": 1.0, "iou50": 1.0}
    own = heat_box(heats[0])
    part = [*own[:2], own[2], 0.4 * own[1] + 0.6 * own[3]]
    found = localization(heats, [own, part, far, whole, own])
    assert found == {"boxes": 4, "pointing": 0.5, "iou": pytest.approx((1 + 0.6) / 4), "iou50": 0.5}
    assert localization(heats[:1], [whole]) == {"boxes": 0} == localization([], np.zeros((0, 4)))
    assert peak_inside(heats[0], own) and not peak_inside(heats[0], [0.9, 0.9, 1, 1])


@given(counts=st.lists(st.integers(0, 4), max_size=4))
def test_videos_together_are_their_boxes_together(counts):
    rng = np.random.default_rng(sum(counts))
    own = [[blob([0.2, 0.2, x, 0.6]) for x in rng.uniform(0.3, 0.9, count)] for count in counts]
    box = [0.2, 0.2, 0.5, 0.6]
    apart = over_videos([localization(heats, [box] * len(heats)) for heats in own])
    together = localization([heat for heats in own for heat in heats], [box] * sum(counts))
    assert apart == pytest.approx(together)


def test_the_picture_is_warm_where_the_map_is(tmp_path):
    image, heat = np.full((60, 80, 3), 100, np.uint8), np.zeros((60, 80), np.float32)
    heat[:30, :40] = 1
    draw_heat_frame(tmp_path / "a" / "b.png", image, heat, box=(0.1, 0.1, 0.2, 0.2), title="$ 1 $ fire")
    shown = imread(tmp_path / "a" / "b.png")[-60:, :, :3]
    assert abs(shown.shape[0] - 60) <= 1 and abs(shown.shape[1] - 80) <= 1
    hot, cold = shown[25:28, 30:35], shown[40:55, 45:70]
    assert hot[..., 0].mean() > 1.5 * hot[..., 2].mean()
    np.testing.assert_allclose(cold, 100 / 255, atol=0.02)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.png"]
