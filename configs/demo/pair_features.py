# Experiment 1 on features: the pair of pair_exp1.py without its backbones, on window features of the demonstration set
# that it made, of both directions:
#   opentad-bi extract-features configs/demo/pair_exp1.py CHECKPOINT --windows --out data/demo/features/pair_exp1
# --for_resume CHECKPOINT --back_resume CHECKPOINT take the detectors of that checkpoint.
_base_ = ["pair_exp1.py"]

feature_root = "${data_root}/features/pair_exp1"
data_path = "${feature_root}/for"
end_epoch = 20

windows = dict(
    type="ThumosSlidingDataset",
    window_size="${window_size}",
    window_overlap_ratio=0.5,
    pipeline=[dict(type="LoadWindowFeats"), dict(type="Collect", inputs="feats")],
)
dataset = dict(train=windows, test=windows, wrap=dict(source="files", back_data_path="${feature_root}/back"))
del windows
detector = dict(backbone=None)
branch = dict(optimizer=dict(backbone=None), load_unexpected=["backbone.*"])
work_dir = "exps/demo/pair_features"
