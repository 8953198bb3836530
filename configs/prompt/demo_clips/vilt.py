# ViLT on generated clips with a tiny random tower (opentad-bi demo-data clips): minutes on two cores.
_base_ = ["../../_base_/datasets/demo_clips.py", "../../_base_/prompts/vilt.py"]

clip_model = "${data_root}/tower.json"
clip_pretrained = "${data_root}/tower.safetensors"
lr = 0.005
end_epoch = 60
patience = 60
mapped_text_layers = [0, 1]
mapped_visual_layers = [2, 3]
