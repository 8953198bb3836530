# Generated clips of four classes (opentad-bi demo-data clips): one view, eight videos per class.
_base_ = ["video_clips.py"]

dataset_name = "demo_clips"
data_root = "data/demo_clips"
video_root = "${data_root}/videos"
train_videos = dict(
    type="numbered", list_file="${data_root}/annotations/train.txt", classes="${class_list}"
)  # fmt: skip
test_videos = dict(type="numbered", list_file="${data_root}/annotations/test.txt", classes="${class_list}")
class_list = ["Open", "Rise", "Roll", "Flash"]
group = None
num_frames = 8
temporal_views = 1
spatial_views = 1
image_size = 32
K_train = 8
K_val = 4
batch_size = 4
batches_per_backprop = 2
num_workers = 0
