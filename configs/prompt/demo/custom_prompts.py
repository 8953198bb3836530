# Custom prompts on generated features, a tiny random tower (opentad-bi demo-data features): minutes on two cores.
_base_ = ["../ucf_crime/custom_prompts_mobileclip2_s0.py"]

data_root = "data/demo_features"
annotation_dir = "${data_root}/annotations/train"
clip_model = "${data_root}/tower.json"
clip_pretrained = "${data_root}/tower.safetensors"
lr = 0.02
batch_size = 64
end_epoch = 20
dataset = dict(train=dict(strict_mode="event_only"))
work_dir = "exps/prompt/demo/custom_prompts"
