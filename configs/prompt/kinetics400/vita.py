# ViTA on Kinetics-400, 16 videos per class; ViT-B/16 of OpenAI.
_base_ = ["../../_base_/datasets/kinetics400.py", "../../_base_/prompts/vita.py"]
