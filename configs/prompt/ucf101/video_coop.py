# Video-CoOp on UCF101; ViT-B/16 of OpenAI.
_base_ = ["../../_base_/datasets/ucf101.py", "../../_base_/prompts/video_coop.py"]
