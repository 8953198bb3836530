# Experiment 1 with the reversed frames read from the videos of back_thumos-14 instead of being reversed in memory.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp1.py"]

back_data_path = "data/back_thumos-14/raw_data"
dataset = dict(wrap=dict(source="files", back_data_path="${back_data_path}"))
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp1_files"
