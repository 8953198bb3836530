"""The package names its modules, all of them once, and importing it registers the metrics."""

from pathlib import Path

from opentad_bi import evaluation
from opentad_bi.registry import METRICS


def test_every_module_is_listed():
    files = {path.stem for path in Path(evaluation.__file__).parent.glob("*.py")} - {"__init__"}
    assert evaluation.__all__ == sorted(files)
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)


def test_metrics_are_registered():
    assert {"Accuracy", "CombinedMetrics", "FrameAnomaly", "mAP"} <= set(METRICS.module_dict)
