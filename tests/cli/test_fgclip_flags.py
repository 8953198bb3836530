"""Flags of FG-CLIP's original become keys of the config, as they were typed, and nothing else does."""

import json
import logging
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli import aliases
from opentad_bi.cli.aliases import core
from opentad_bi.cli.aliases import fgclip as flags
from opentad_bi.cli.main import call
from opentad_bi.config import find_config, load_config, parse_overrides

RECIPE = find_config(flags.RECIPE)
FULL = load_config(RECIPE)
# what the original's guides type, debug and full
DEBUG = """--model_name_or_path openai/clip-vit-base-patch32 --base_model openai/clip-vit-base-patch32
    --data_path {data}/ucf_fgclip_train_debug.json --image_folder {data} --output_dir checkpoints/fgclip_ucf_debug
    --is_video True --num_frames 64 --is_multimodal True --add_box_loss True --bf16 True --num_train_epochs 2
    --per_device_train_batch_size 1 --gradient_accumulation_steps 4 --evaluation_strategy "no"
    --save_strategy "steps" --save_steps 5 --save_total_limit 2 --learning_rate 1e-5 --text_model_lr 5e-6
    --weight_decay 0.01 --warmup_ratio 0.1 --lr_scheduler_type "cosine" --logging_steps 1 --tf32 True
    --gradient_checkpointing True --dataloader_num_workers 2 --report_to tensorboard --seed 42"""
FULL_WORDS = """--model_name_or_path openai/clip-vit-base-patch32 --base_model openai/clip-vit-base-patch32
    --data_path {data}/ucf_fgclip_train_final.json --image_folder {data} --output_dir ./checkpoints/fgclip_ucf_full
    --is_video True --num_frames 256 --is_multimodal True --add_box_loss True --bf16 True --num_train_epochs 10
    --per_device_train_batch_size 2 --gradient_accumulation_steps 8 --evaluation_strategy "no"
    --save_strategy "steps" --save_steps 100 --save_total_limit 3 --learning_rate 1e-5 --text_model_lr 5e-6
    --weight_decay 0.01 --warmup_ratio 0.1 --lr_scheduler_type "cosine" --logging_steps 10 --tf32 True
    --gradient_checkpointing True --dataloader_num_workers 4 --report_to tensorboard --seed 42"""
VARIANTS = """--num_frames 32|--num_frames 128|--per_device_train_batch_size 1 --gradient_accumulation_steps 16
    |--learning_rate 5e-6|--text_model_lr 2e-6|--max_grad_norm 1.0|--bf16 False --fp16 False|--dataloader_num_workers 8
    |--dataloader_prefetch_factor 4|--learning_rate 2e-5 --text_model_lr 1e-5|--warmup_steps 100|--weight_decay 0.001
    |--lr_scheduler_type "linear"|--lr_scheduler_type "constant"|--max_seq_length 248|--from_openai True|--resume auto
    |--report_to wandb --wandb_project ucf-crime-vad --wandb_run_name fgclip-baseline
    |--resume_from_checkpoint checkpoints/fgclip_ucf_debug/checkpoint-500"""


LIST = "Anomaly_Test.txt"


@pytest.fixture
def data(tmp_path):
    """A folder with caption files of ten and of 232 videos."""
    for name, count in (("debug", 10), ("final", 232)):
        entries = [{"f_path": f"Abuse{i:03d}_x264.mp4", "global_caption": "a", "bbox_info": []} for i in range(count)]
        (tmp_path / f"ucf_fgclip_train_{name}.json").write_text(json.dumps(entries))
    (tmp_path / LIST).write_text("Abuse/Abuse900_x264.mp4\n")
    return tmp_path


@pytest.fixture
def typed(monkeypatch):
    """A function: words -> ({key: value} that reach the training, its other words)."""
    caught = []
    monkeypatch.setattr(core, "call", lambda name, words: caught.append([str(word) for word in words]) or 0)

    monkeypatch.setattr(logging.getLogger("opentad_bi"), "propagate", True)

    def run(text, code=0):
        caught.clear()
        words = text if isinstance(text, list) else shlex.split(text)
        assert call("train_fgclip", ["--skip_check", *words]) == code
        (found,) = caught or [[]]
        cut = found.index("--cfg-options") if "--cfg-options" in found else len(found)
        return parse_overrides(found[cut + 1 :]), found[:cut]

    return run


def test_the_full_recipe_of_the_original_is_that_of_the_config(data, typed):
    keys, words = typed(FULL_WORDS.format(data=data))
    assert words == [str(RECIPE), "--seed", "42", "--resume", "auto", "--skip-check"]
    cfg = load_config(RECIPE, keys)
    changed = {key for key in ("dataset", "model", "branches", "solver", "workflow") if cfg[key] != FULL[key]}
    assert changed == {"dataset", "workflow"} and cfg.dataset.train.ann_files.endswith("final.json")
    assert (
        keys["batch_size"] == 16
        and keys["recompute"] == "video"
        and keys["work_dir"] == "./checkpoints/fgclip_ucf_full"
    )
    assert cfg.workflow.pop("checkpoint_interval") == 7  # 100 steps of 14 an epoch
    assert {key: cfg.workflow[key] for key in cfg.workflow} == {k: FULL.workflow[k] for k in cfg.workflow}
    assert cfg.dataset.train.forbid_list == str(data / LIST)


def test_the_debug_recipe_is_that_of_the_config_with_a_batch_that_has_negatives(data, typed, caplog):
    keys, _ = typed(DEBUG.format(data=data))
    assert caplog.text.count("4 accumulated batches become one of 4 videos") == 1
    ours = load_config(RECIPE.with_name("debug.py"))
    cfg = load_config(RECIPE, keys)
    for key in ("model", "branches", "solver"):
        assert cfg[key] == ours[key]
    assert cfg.dataset.train.frames == ours.dataset.train.frames == 64
    assert cfg.workflow.end_epoch == 2 and cfg.workflow.checkpoint_interval == 2 and cfg.workflow.keep_last == 2
    assert cfg.dataset.train.forbid_list == str(data / "Anomaly_Test.txt")


@pytest.mark.parametrize("words", [words.strip() for words in VARIANTS.split("|")])
def test_what_the_guide_says_to_change_can_be_typed_behind_its_command(words, data, typed):
    load_config(RECIPE, typed(f"{FULL_WORDS.format(data=data)} {words}")[0])


@pytest.mark.parametrize(("words", "expected"), [
    ("", {}),
    ("--add_box_loss", {"region_weight": 0.1}),
    ("--add_box_loss False", {"region_weight": 0.0}),
    ("--use_hard_neg true", {"hard_weight": 0.5}),
    ("--use_hard_neg False", {"hard_weight": 0.0}),
    ("--base_model ViT-B/16", {"clip_model": "ViT-B-16-quickgelu", "clip_pretrained": "openai"}),
    ("--base_model ViT-B/16 --from_openai False", {"clip_model": "ViT-B-16-quickgelu", "clip_pretrained": None}),
    ("--base_model ViT-L/14@336px",
     {"clip_model": "ViT-L-14-336-quickgelu", "clip_pretrained": "openai", "image_size": 336}),
    ("--model_name_or_path MobileCLIP2-S0", {"clip_model": "MobileCLIP2-S0"}),
    ("--max_seq_length 248 --base_image_size 336", {"context_length": 248, "image_size": 336}),
    ("--warmup_steps 7", {"warmup_steps": 7}),
    ("--warmup_steps 0", {"warmup_steps": None}),
    ("--lr_scheduler_type constant_with_warmup", {"lr_shape": "constant"}),
    ("--lr_scheduler_type constant", {"lr_shape": "constant", "warmup_ratio": 0.0, "warmup_steps": None}),
    ("--per_device_train_batch_size 4", {"batch_size": 4}),
    ("--gradient_checkpointing", {"recompute": "block"}),
    ("--gradient_checkpointing False", {"recompute": None}),
    ("--gradient_checkpointing True --per_device_train_batch_size 2 --gradient_accumulation_steps 3",
     {"batch_size": 6, "recompute": "video"}),
    ("--bf16 False --fp16 False", {"amp": None}),
    ("--save_strategy epoch", {"workflow.checkpoint_interval": 1}),
    ("--save_strategy epoch --save_steps 5", {"workflow.checkpoint_interval": 1}),
    ("--save_strategy no --num_train_epochs 4.0", {"workflow.checkpoint_interval": 4, "end_epoch": 4}),
    ("--evaluation_strategy epoch", {"workflow.val_eval_interval": 1}),
    ("--report_to none", {"workflow.tensorboard": False}),
    ("--report_to wandb --wandb_project p --wandb_run_name n",
     {"workflow.tensorboard": False, "workflow.wandb": {"project": "p", "name": "n"}}),
    ("--report_to all", {"workflow.tensorboard": True, "workflow.wandb": {"project": "opentad_bi"}}),
    ("--is_video True --is_multimodal --base_seq_length 77", {}),
    ("--learning_rate 1 --cfg-options lr=2", {"lr": 2}),
])  # fmt: skip
def test_what_flags_mean(words, expected, typed):
    keys, (config, *_) = typed(words)
    assert keys == expected
    load_config(config, keys)


def test_the_list_of_test_videos_is_looked_for_and_never_silently_absent(data, typed, tmp_path, capsys):
    path, videos = data / "ucf_fgclip_train_debug.json", tmp_path / "videos"
    videos.mkdir()
    words = ["--data_path", str(path), "--image_folder", str(videos)]
    (data / LIST).rename(videos / LIST)
    assert typed(words)[0]["forbid_list"] == str(videos / LIST)
    other = (videos / LIST).rename(tmp_path / "own.txt")
    typed(words, code=1)
    text = capsys.readouterr().err
    assert str(data / LIST) in text and str(videos / LIST) in text and "--cfg-options forbid_list=None" in text
    for value, wanted in (("None", None), (str(other), str(other))):
        keys, _ = typed([*words, "--cfg-options", f"forbid_list={value}"])
        assert keys["forbid_list"] == wanted


def test_steps_between_checkpoints_are_counted_as_the_training_reads_its_captions(data, typed, capsys):
    path = data / "ucf_fgclip_train_debug.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([*entries, *({"f_path": f"Arson{i:03d}_x264.mp4"} for i in range(30)), 5]))
    words = ["--data_path", str(path), "--save_steps", "10", "--per_device_train_batch_size", "2"]
    typed(words, code=1)
    assert "cannot be read" in capsys.readouterr().err
    more = ["--cfg-options", "dataset.train.on_bad_entry=skip", "dataset.train.empty_caption=skip"]
    assert typed([*words, *more])[0]["workflow.checkpoint_interval"] == 2  # of 5 steps an epoch
    assert typed([*words, *more, "batch_size=5"])[0]["workflow.checkpoint_interval"] == 5


def test_weights_in_a_file_are_those_of_the_model_that_is_named(tmp_path, typed):
    (tmp_path / "w.pt").write_bytes(b"")
    keys, _ = typed(["--model_name_or_path", str(tmp_path / "w.pt"), "--base_model", "openai/clip-vit-base-patch32"])
    assert keys == {"clip_model": "ViT-B-32-quickgelu", "clip_pretrained": str(tmp_path / "w.pt")}


@given(data=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda text: text[0] != "-"))
def test_paths_arrive_as_they_were_typed(data):
    args = aliases.parser("train_fgclip").parse_args([f"--image_folder={data}"])
    keys = flags.settings({"image_folder": args.image_folder}, FULL)
    options = parse_overrides([f"{key}={value!r}" for key, value in keys.items()])
    if "${" not in data:
        assert load_config(RECIPE, options).dataset.test.root == data


def test_processes_count_as_the_original_counts_them(monkeypatch, typed):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert typed("--per_device_train_batch_size 2")[0] == {"batch_size": 8}


@pytest.mark.parametrize(("words", "message"), [
    ("--fp16 True", "overflow fp16; take --bf16 True"),
    ("--num_train_epochs 2.5", "--num_train_epochs 2.5 must be a whole number"),
    ("--per_device_train_batch_size 0", "must be at least 1"),
    ("--data_path nowhere.json --save_steps 5", "nowhere.json does not exist"),
])  # fmt: skip
def test_what_is_not_offered_is_one_message(words, message, typed, capsys):
    typed(words, code=1)
    text = capsys.readouterr().err
    assert text.splitlines()[-1].startswith("error: ") and message in text


@pytest.mark.parametrize("words", ["--bf16 maybe", "--lr_scheduler_type polynomial", "--num_frames many", "--lora_r 8"])
def test_an_unknown_flag_or_word_is_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        call("train_fgclip", words.split())
    assert end.value.code == 2 and words.split()[0] in capsys.readouterr().err


def test_every_flag_sets_a_key_that_the_config_has():
    plain = [flag for flag in flags.FLAGS if flag.key and not flag.to_keys]
    assert len(plain) > 10
    for flag in plain:
        load_config(RECIPE, {flag.key: 7 if flag.kind in (int, float) else "text"})
