# FG-CLIP, a trial of the whole way on the generated surveillance videos: 8 frames, 2 epochs.
_base_ = ["surveillance.py"]

num_frames = 8
end_epoch = 2
workflow = dict(logging_interval=1, keep_last=2)
work_dir = "exps/fgclip/demo/debug"
