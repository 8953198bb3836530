# Experiment 3-3: a pair of small networks on the demonstration set, both frozen, from what
# opentad-bi cache-predictions kept of them: only the fusion trains, and no network runs until the evaluation.
_base_ = ["pair_exp1_1.py", "../_base_/fusions/exp3_3.py"]

short_names = dict(cache_path="dataset.train.folder")
aux_loss_weight = 0.0  # nothing of theirs trains
end_epoch = 10  # of as many passes as were kept
fusion_lr = 1e-3
dataset = dict(train=dict(_delete_=True, type="CachedPredictions", folder="data/demo_predictions"))
branch = dict(trainable=[])
work_dir = "exps/demo/pair_exp3_3_cached"
