"""Regions of any shape, for laws."""

from hypothesis import strategies as st

from opentad_bi.datasets.video_anomaly.records import Keyframe, Region

LENGTH = 40
boxes = st.tuples(*[st.floats(0, 0.4)] * 2, *[st.floats(0.5, 1)] * 2)
keyframes = st.lists(st.builds(Keyframe, st.integers(0, LENGTH - 1), boxes, st.booleans()), min_size=1, max_size=7)
limits = st.one_of(st.none(), st.integers(0, LENGTH - 1))
regions = st.builds(Region, st.just("x"), limits, limits, keyframes.map(tuple))
