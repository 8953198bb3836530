# FG-CLIP on the official test set of XD-Violence, for a network that learned from UCF-Crime; its classes are others.
_base_ = ["../ucf_crime/full.py"]

xd_videos = "data/xd_violence/videos"
test_videos = "${xd_videos}"
frame_annotation = "data/xd_violence/annotations.txt"
fps = 24
short_names = dict(video_root="dataset.train.root")
dataset = dict(test=dict(root="${xd_videos}"))
evaluation = dict(
    _delete_=True,
    type="FrameAnomaly",
    classes="${class_names}",
    normal_class="${normal_class}",
    annotation="${frame_annotation}",
    frames_per_row="${frame_stride}",
    fps="${fps}",
    unlisted_normal=True,
    select="ap",
)
