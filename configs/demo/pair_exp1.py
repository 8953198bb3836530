# Experiment 1: a pair of small networks, forward and backward, on the demonstration set. What only one of the two
# believes in counts half in the merged results, and both have a say in where a segment ends.
_base_ = [
    "../_base_/datasets/demo.py",
    "../_base_/models/small.py",
    "../_base_/schedules/small.py",
    "../_base_/models/pair.py",
]

evaluation = dict(cross_direction_voting=1.0)
work_dir = "exps/demo/pair_exp1"
