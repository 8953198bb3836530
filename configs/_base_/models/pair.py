# Two networks of one kind, on a video and on the video reversed, each trained as `branch` says: to be named after the
# files of the network and of its training. The backward video is the forward one, reversed where the batch lies.
short_names = dict(back_data_path="dataset.wrap.back_data_path")  # of source="files"
dataset = dict(wrap=dict(type="PairedDataset", source="device"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
