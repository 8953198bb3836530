# STT: ViTA, and its summaries of the video passed on to the text tower, layer by layer.
_base_ = ["vita.py"]

method = "stt"
transfer_layers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
model = dict(coupling=dict(type="VideoToText", layers="${transfer_layers}"), text_chunk=101)
