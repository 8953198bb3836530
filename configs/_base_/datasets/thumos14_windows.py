# THUMOS14 as features of windows, in training and in evaluation what the detector behind the backbone gets end to end:
# made by opentad-bi extract-features --windows with a config of the same window_size, window_overlap_ratio and strides.
_base_ = ["thumos14_e2e.py"]

feature_root = "${data_root}/features/windows"
data_path = "${feature_root}/for"
short_names = dict(window_overlap_ratio="dataset.*.window_overlap_ratio")

windows = dict(
    type="ThumosSlidingDataset",
    window_size="${window_size}",
    window_overlap_ratio=0.5,
    pipeline=[dict(type="LoadWindowFeats"), dict(type="Collect", inputs="feats")],
)
dataset = dict(train=windows, test=windows)
del windows
