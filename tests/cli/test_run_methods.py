"""Options of the commands of one method each become keys of its config, as they were typed, and nothing else does."""

import json

import pytest
from clip_set import make_clip_set, tiny, undo_kernels
from flag_table import flag_table
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from opentad_bi.cli import aliases, train
from opentad_bi.cli.aliases import core, methods
from opentad_bi.cli.main import call
from opentad_bi.config import load_config, parse_overrides
from opentad_bi.datasets.video_prompts.few_shot import PROTOCOLS

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda text: text[0] != "-")
VALUES = {int: "3", float: "0.25"}  # a word for an option, by its kind


@pytest.fixture
def typed(monkeypatch):
    """A function: method, words -> {key: value} that reach the training, and the other words."""
    caught = []
    monkeypatch.setattr(core, "call", lambda name, words: caught.append([str(word) for word in words]) or 0)

    def run(method, *words):
        caught.clear()
        assert call(f"run_{method}", list(words)) == 0
        (found,) = caught
        cut = found.index("--cfg-options") if "--cfg-options" in found else len(found)
        return parse_overrides(found[cut + 1 :]), found[:cut]

    return run


def settings_of(method, words, config):
    """{key: value} of the words of a command, of another config than its own."""
    return methods.settings(core.typed_flags(aliases.parser(method).parse_args(words), methods.FLAGS), config)


def word_for(flag):
    """Words that give `flag`, of whatever kind."""
    if flag.kind is bool:
        return [f"--{flag.name}"]
    return [f"--{flag.name}", flag.kind[-1] if isinstance(flag.kind, tuple) else VALUES.get(flag.kind, "some text")]


@pytest.mark.parametrize("dataset", methods.DATASETS)
@pytest.mark.parametrize("method", aliases.METHODS)
def test_every_option_sets_keys_that_the_configs_of_its_method_have(method, dataset, typed):
    exclusive = {"deep-vision-prompts", "ctx-init", "dataset"}  # of others
    flags = [flag for flag in aliases.flags_of(method) if flag.name not in exclusive]
    words = [word for flag in flags for word in word_for(flag)]
    keys, (config, *_) = typed(method, "--dataset", dataset, *words)
    assert config == str(ROOT / "configs" / "prompt" / dataset / f"{method}.py")
    assert {flag.key for flag in flags if not flag.to_keys and not flag.key.startswith("--")} < keys.keys()
    load_config(config, keys)


@pytest.mark.parametrize("method", aliases.METHODS)
def test_nothing_is_changed_where_nothing_is_typed(method, typed):
    keys, words = typed(method)
    assert keys == {} and words == [str(methods.method_config(method, "ucf101")), "--seed", "42"]


@settings(max_examples=12)
@given(folder=TEXTS, sentence=TEXTS, pretrained=TEXTS)
def test_words_arrive_as_they_were_typed(folder, sentence, pretrained):
    words = [f"--data-dir={folder}", f"--ctx_init={sentence}", f"--pretrained={pretrained}"]
    config = methods.method_config("vita", "ucf101")
    options = [f"{key}={value!r}" for key, value in settings_of("vita", words, config).items()]
    cfg = load_config(config, parse_overrides(options))
    none = [text.lower() == "none" for text in (sentence, pretrained)]
    if "${" not in folder:
        assert cfg.dataset.test.root == f"{folder}/videos"
    assert cfg.model.prompt.ctx_init == (None if none[0] else sentence)
    if "${" not in pretrained:
        assert cfg.model.clip.pretrained == (None if none[1] else pretrained)


def test_the_command_line_of_a_run(typed):
    keys, words = typed(
        "dual_coop", "--dataset", "hmdb51", "--K-train", "None", "--K_val", "2", "--videomix-type", "spatial",
        "--continue-from", "video_coop/kinetics400/full ep's 8", "--use-wandb", "--no-use-augmentation", "--id", "3",
        "--output-dir", "my runs", "--resume", "auto", "--device", "cpu", "--seed", "7", "--temporal-pooling", "mean",
        "--num-temporal-views", "2", "--cfg-options", "lr=0.5", "tolerate=0.1",
    )  # fmt: skip
    assert words[1:] == ["--seed", "7", "--device", "cpu", "--work-dir", "my runs", "--id", "3", "--resume", "auto"]
    assert keys == {
        "K_train": None, "K_val": 2, "val_ratio": 0.0, "use_augmentation": False, "temporal_views": 2, "tolerate": 0.1,
        "videomix": {"type": "VideoMix", "kind": "spatial", "probability": 1.0},
        "continue_from": "video_coop/kinetics400/full ep's 8", "wandb": {"project": "opentad_bi"}, "lr": 0.5,
        "temporal_pooling": {"type": "MeanPooling"},
    }  # fmt: skip
    cfg = load_config(words[0], keys)
    assert cfg.branches.model.continue_from == keys["continue_from"] and cfg.model.temporal.type == "MeanPooling"
    assert cfg.dataset.train.mix == keys["videomix"] and cfg.workflow.wandb == keys["wandb"]
    assert typed("dual_coop", "--use-wandb", "--no-wandb")[0] == {"wandb": None}
    assert typed("dual_coop", "--lr", "1", "--cfg-options", "lr=2")[0] == {"lr": 2}  # the last word is the stronger


@pytest.mark.parametrize(
    ("method", "words", "expected"),
    [
        ("video_coop", ["--val-ratio", "0.2"], {"val_ratio": 0.2, "K_val": 0}),
        ("video_coop", ["--val-ratio", "0.2", "--K-val", "0"], {"val_ratio": 0.2, "K_val": 0}),
        ("video_coop", ["--val-ratio", "none", "--K-val", "2"], {"val_ratio": 0.0, "K_val": 2}),
        ("video_coop", ["--conditional"], {"model.prompt.type": "ConditionalPromptLearner"}),
        ("video_coop", ["--class-protocol", "most-frequent"], {"protocol": "most_frequent"}),
        ("vita", ["--videomix-type", "NONE"], {"videomix": None}),
        ("vita", ["--videomix-prob", "0.5"], {"videomix": {"type": "VideoMix", "kind": "spatial", "probability": 0.5}}),
        ("vidop", ["--use-handcrafted-features"], {"text_template": "A video of a person doing {}."}),
        ("vidop", ["--no-use-handcrafted-features"], {"text_template": "{}"}),
        ("vidop", ["--deep-vision-prompts"], {"model.visual.depth": "deep"}),
        ("dual_coop", ["--keep-vision-prompts-throughout"], {"model.visual.depth": "throughout"}),
        ("dual_coop", ["--no-keep-vision-prompts-throughout"], {"model.visual.depth": "shallow"}),
        ("dual_coop", ["--learn-just-pooling"], {"trainable": ["pooling.*"]}),
        ("dual_coop", ["--run-id", "17"], {"run_id": "17"}),
        ("stt", ["--no-quick-gelu"], {"clip_quick_gelu": False}),
        ("stt", ["--amp", "none"], {"solver.amp": None}),
        ("stt", ["--temporal-pooling", "attention-residual"],
         {"temporal_pooling": {"type": "AttentionPooling", "residual": True}}),
    ],
)  # fmt: skip
def test_what_options_mean(method, words, expected, typed):
    assert typed(method, *words)[0] == expected


def test_another_kind_of_mix_keeps_the_probability_of_the_config(tmp_path):
    config = tmp_path / "mixed.py"
    base = f"_base_ = [{str(methods.method_config('vita', 'ucf101'))!r}]\n"
    config.write_text(f"{base}videomix = dict(type='VideoMix', kind='spatial', probability=0.25)\n")
    for words, kind, probability in (
        (["--videomix-type", "temporal"], "temporal", 0.25),
        (["--videomix-prob", "0.5"], "spatial", 0.5),
    ):
        keys = settings_of("vita", words, config)
        assert keys == {"videomix": {"type": "VideoMix", "kind": kind, "probability": probability}}


def test_a_sentence_to_start_from_brings_its_own_length(typed):
    keys, words = typed("video_coop", "--ctx-init", "a video of")
    prompt = load_config(words[0], keys).model.prompt
    assert (prompt.ctx_mode, prompt.ctx_init, prompt.n_ctx) == ("shared_init", "a video of", None)


@pytest.mark.parametrize(
    ("method", "words", "message"),
    [
        ("dual_coop", ["--videomix-prob", "0.5"], "say how by --videomix-type spatial|temporal|spatiotemporal"),
        ("vita", ["--learn-just-pooling"], "MeanPooling learns nothing"),
        ("dual_coop", ["--learn-just-pooling", "--temporal-pooling", "max"], "MaxPooling learns nothing"),
        (
            "vita",
            ["--K-val", "0"],
            "--K-val 0: the best epoch is that of validation, so give at least 1, or --val-ratio",
        ),
        ("vita", ["--K-val", "-1", "--val-ratio", "none"], "--K-val -1: the best epoch is that of validation"),
        ("vidop", ["--deep-vision-prompts", "--keep-vision-prompts-throughout"], "exclude each other"),
        ("vilt", ["--ctx-len", "4", "--ctx-init", "a video"], "--ctx-len 4 and --ctx-init exclude each other"),
    ],
)
def test_contradictions_are_one_message(method, words, message, capsys):
    assert call(f"run_{method}", words) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ") and message in text


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("video_coop", ["--ctx-len-video", "4"]),
        ("vidop", ["--csc"]),
        ("vita", ["--regularisation", "0.1"]),
        ("stt", ["--keep-vision-prompts-throughout"]),
        ("vilt", ["--feature-dir", "x"]),
        ("vilt", ["--K-train", "many"]),
        ("vilt", ["--batch-size", "none"]),
        ("vilt", ["--K-val", "none"]),
        ("vilt", ["--temporal-pooling", "median"]),
        ("vilt", ["--ctx", "4"]),
    ],
)
def test_an_option_or_a_word_that_a_method_has_not_is_refused(method, words, capsys):
    with pytest.raises(SystemExit) as end:
        call(f"run_{method}", words)
    assert end.value.code == 2 and words[0] in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with a set and a run of Dual-CoOp on it: 1 x 1 views, and paths with blanks and quotes."""
    data = make_clip_set(tmp_path_factory.mktemp("it's a run") / "a set", train=3, test=1)
    words = ["--dataset", "demo_clips", "--data-dir", data, "--output-dir", data.parent / "my runs", "--device", "cpu"]
    words += ["--epochs", "1", "--K-train", "2", "--K-val", "1", "--num-frames", "2", "--run-id", "a b's", "--no-wandb"]
    words += ["--deep-vision-prompts", "--temporal-pooling", "mean", "--batches-per-backprop", "1"]
    files = [word for word in tiny(data) if word.startswith(("artifacts", "evaluation", "workflow"))]
    assert call("run_dual_coop", [str(word) for word in [*words, "--cfg-options", *files]]) == 0
    undo_kernels()
    return data.parent


def test_a_run_of_the_command_leaves_its_files(trained):
    cfg = load_config(trained / "my runs" / "gpu1_id0" / train.RESOLVED)
    assert cfg.model.visual.depth == "deep" and cfg.model.temporal.type == "MeanPooling"
    folder = trained / "models" / "dual_coop" / "demo_clips" / "a b's"
    assert {path.name for path in folder.iterdir()} >= {"checkpoint.pth", "config.json", "training_log.json"}
    results = json.loads((folder / "validation_results.json").read_text())
    assert results["split"] == "val" and 0 <= results["score"] <= 1


def test_views_of_a_test_may_be_others_than_those_of_training(trained, tmp_path):
    found = {}
    for views in ((1, 1), (4, 3)):
        out = tmp_path / f"{views[0]}x{views[1]}"
        options = [*tiny(trained / "a set"), f"temporal_views={views[0]}", f"spatial_views={views[1]}"]
        options += ["model.visual.depth=deep", "temporal_pooling={'type': 'MeanPooling'}"]
        words = [methods.method_config("dual_coop", "demo_clips"), "--work-dir", trained / "my runs", "--device", "cpu"]
        words += ["--save_dir", out, "--out", out / "numbers.json"]
        assert call("test", [*words, "--cfg-options", *options]) == 0
        rows = json.loads((out / "class_scores.json").read_text())
        found[views] = {row["video"]: row["probabilities"] for row in rows}
        assert 0 <= json.loads((out / "numbers.json").read_text())["model"]["top1"] <= 1
    assert found[1, 1].keys() == found[4, 3].keys() and len(found[1, 1]) == 4
    assert all(found[1, 1][video] != found[4, 3][video] for video in found[1, 1])


def test_the_page_holds_the_table_of_options():
    text = (ROOT / "docs" / "video_prompts.md").read_text(encoding="utf-8")
    found = text.partition("<!-- flags -->")[2].partition("<!-- end of flags -->")[0]
    table = flag_table(methods.FLAGS, list(aliases.METHODS))
    assert found.strip() == table, "put between the marks what this prints: python tests/cli/flag_table.py"


def test_the_choices_of_the_help_are_those_of_the_data():
    assert methods.PROTOCOLS == PROTOCOLS
