# Experiment 1: a pair of AdaTAD with VideoMAE-H on THUMOS14, the reversed frames read from the videos of back_thumos-14
# instead of being reversed in memory.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp1.py"]

dataset = dict(wrap=dict(source="files", back_data_path="data/back_thumos-14/raw_data"))
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp1_files"
