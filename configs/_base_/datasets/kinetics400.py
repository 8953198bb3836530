# Kinetics-400 by its CSV lists, 16 videos per class; some videos are gone, and resized frames are kept.
_base_ = ["video_clips.py"]

dataset_name = "kinetics400"
data_root = "data/kinetics400"
video_root = "${data_root}/videos"  # class folders of ID_START_END.mp4
train_videos = dict(type="kinetics", table="${data_root}/annotations/train.csv")
test_videos = dict(type="kinetics", table="${data_root}/annotations/val.csv")
group = "kinetics"  # clips of one video of YouTube stay together
K_train = 16
K_val = 4
tolerate = 0.1
frame_cache = "${data_root}/frame_cache"  # 5 to 9 MB a video: some 70 GB for 20 per class, 170 GB for the test list
batch_size = 2
batches_per_backprop = 64
num_workers = 4
