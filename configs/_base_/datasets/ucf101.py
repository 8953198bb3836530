# UCF101 with its official lists; validation is drawn from the training list, never from a group that is trained on.
_base_ = ["video_clips.py"]

dataset_name = "ucf101"
data_root = "data/ucf101"
video_root = "${data_root}/videos"  # class folders of .avi files
split = 1
class_file = "${data_root}/annotations/classInd.txt"
train_videos = dict(
    type="ucf101", list_file="${data_root}/annotations/trainlist0${split}.txt", class_file=class_file
)  # fmt: skip
test_videos = dict(type="ucf101", list_file="${data_root}/annotations/testlist0${split}.txt", class_file=class_file)
del class_file
group = "ucf101"
K_train = None  # all that validation leaves
K_val = 4
batch_size = 4
batches_per_backprop = 32
num_workers = 4
