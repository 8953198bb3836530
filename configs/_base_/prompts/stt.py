# STT: ViTA, and its summaries of the video passed on to the text tower, layer by layer.
_base_ = ["vita.py"]

method = "stt"
short_names = dict(transfer_layers="model.coupling.layers")
model = dict(coupling=dict(type="VideoToText", layers=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), text_chunk=101)
