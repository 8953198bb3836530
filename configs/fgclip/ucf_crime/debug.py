# FG-CLIP, a trial of the whole way on ten videos of UCF-Crime, 64 frames each. Four videos in a batch, not one: one has
# no negatives.
_base_ = ["full.py"]

ann_files = "${data_root}/ucf_fgclip_train_debug.json"
num_frames = 64
min_region_frames = 1
batch_size = 4
num_workers = 2
end_epoch = 2
workflow = dict(logging_interval=1, keep_last=2)
work_dir = "exps/fgclip/ucf_crime/debug"
