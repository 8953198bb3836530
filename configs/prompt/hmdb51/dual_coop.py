# Dual-CoOp on HMDB51, 16 videos per class; ViT-B/16 of OpenAI.
_base_ = ["../../_base_/datasets/hmdb51.py", "../../_base_/prompts/dual_coop.py"]
