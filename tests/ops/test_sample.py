"""Where units lie: a batch of them is the sequence of what it was made of, also after a trip to another process."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.records import UnitMeta, UnitMetas

COUNTS = st.integers(0, 9)
METAS = st.lists(st.builds(UnitMeta, st.text(max_size=3), COUNTS, COUNTS, st.none() | COUNTS), max_size=6)


@given(METAS, st.integers(-7, 7))
def test_a_batch_of_units_is_their_list(metas, cut):
    columns = [[getattr(meta, name) for meta in metas] for name in ("video", "start", "rows", "frames")]
    batch = pickle.loads(pickle.dumps(UnitMetas(*columns)))
    assert list(batch) == metas and len(batch) == len(metas)
    assert list(batch[cut:]) == metas[cut:] and [batch[i] for i in range(len(metas))] == metas
    assert [meta.frames for meta in UnitMetas(*columns[:3])] == [None] * len(metas)
