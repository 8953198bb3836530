# HMDB51 with its official lists, 16 videos per class; validation never has a film that is trained on.
_base_ = ["video_clips.py"]

dataset_name = "hmdb51"
data_root = "data/hmdb51"
video_root = "${data_root}/videos"  # class folders of .avi files
split = 1
train_videos = dict(type="hmdb51", folder="${data_root}/annotations", split="${split}", part="train")
test_videos = dict(type="hmdb51", folder="${data_root}/annotations", split="${split}", part="test")
group = "hmdb51"
K_train = 16
K_val = 4
batch_size = 4  # 96 frames each: the graph of visual prompts takes some 9 GiB a video
batches_per_backprop = 4
num_workers = 4
