# ViTA on generated clips with a tiny random tower (opentad-bi demo-data clips): minutes on two cores.
_base_ = ["../../_base_/datasets/demo_clips.py", "../../_base_/prompts/vita.py"]

clip_model = "${data_root}/tower.json"
clip_pretrained = "${data_root}/tower.safetensors"
lr = 0.005
end_epoch = 60
patience = 60
summary_heads = 4
