"""Numbers that a model logs beside its losses, and that nothing else changes for models without them."""

import json

import pytest
import torch
import toy
from close import close

from opentad_bi.engine.checkpoint import restore_run, save_checkpoint
from opentad_bi.engine.hooks import Hook
from opentad_bi.registry import MODELS, log_renamed
from opentad_bi.utils.weight_files import load_checkpoint


def test_logged_numbers_are_averaged_as_the_losses_and_no_part_of_the_total(toy_config, make_runner):
    toy_config.solver.accumulate = 2
    plain = make_runner(toy_config, "plain")
    toy_config.model = {"type": "ToyLogger", "odd": True}
    logging = make_runner(toy_config, "logging")
    batches = [batch for batch, _ in zip(logging.loader, range(2), strict=False)]
    said = [logging.model.layers(batch["inputs"])[:, 0].mean().item() for batch in batches]
    plain.train_step(batches)
    logging.train_step(batches)
    assert logging.logged["said"] == pytest.approx(sum(said) / 2)
    assert plain.logged == {}
    assert plain.losses == logging.losses  # and the NaN among the logged ones stops nothing
    for a, b in zip(plain.model.parameters(), logging.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_logged_numbers_are_logged_beside_the_losses(toy_config, make_runner, caplog):
    toy_config.model.type, toy_config.workflow.tensorboard = "ToyLogger", True
    toy_config.workflow.logging_interval = 1
    runner = make_runner(toy_config)
    caplog.set_level("INFO", "opentad_bi")
    runner.train()
    records = [json.loads(line) for line in (runner.work_dir / "log.jsonl").read_text().splitlines()]
    said = [record["logged/said"] for record in records if "loss/loss" in record]
    assert len(said) == 12
    assert said[-1] == runner.logged["said"]
    assert runner.means["logged"].values()["said"] == pytest.approx(sum(said[8:]) / 4)
    line = next(text for text in caplog.messages if text.startswith("[Train]: [002][00004/00004]"))
    mean = runner.means["losses"].values()["loss"]
    assert f"Loss={mean:.4f}  loss={mean:.4f}  said={sum(said[8:]) / 4:.4f}" in line
    events = (runner.work_dir / "tensorboard").iterdir()
    assert any(b"logged/said" in path.read_bytes() for path in events)


def test_a_model_without_the_new_things_is_trained_by_the_plain_loop(toy_config, make_runner):
    """Loss by loss and bit by bit what a loop of torch alone gives; no key is in the logs that was not."""
    runner = make_runner(toy_config)
    model = MODELS.build(toy_config.model)
    model.load_state_dict(runner.model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    losses = []
    for epoch in range(3):
        order = torch.randperm(16, generator=torch.Generator().manual_seed(42 + epoch)).tolist()
        for start in range(0, 16, 4):
            seeds = [((42 * 1_000_003 + epoch) * 1_000_003 + i, i) for i in order[start : start + 4]]
            batch = toy.ToyData.collate([toy.ToyData()[i, seed] for seed, i in seeds])
            i = epoch * 4 + start // 4
            cosine = 1e-8 + 0.5 * (0.05 - 1e-8) * (1 + torch.tensor((i - 4) * torch.pi / 20, dtype=torch.float64).cos())
            optimizer.param_groups[0]["lr"] = 0.05 * i / 3 if i < 4 else cosine.item()
            optimizer.zero_grad()
            loss = model(batch)["loss"]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
    runner.train()
    records = [json.loads(line) for line in (runner.work_dir / "log.jsonl").read_text().splitlines()]
    trained = [record for record in records if "loss/loss" in record]
    assert [record["loss/loss"] for record in trained] == pytest.approx(losses, rel=1e-5)
    assert {*trained[0]} == {"time", "epoch", "step", "loss/loss", "lr/model/0"}
    for a, b in zip(runner.model.parameters(), model.parameters(), strict=True):
        close(a, b)
    state = load_checkpoint(runner.work_dir / "checkpoint" / "epoch_1.pth")
    del state["means"], state["lrs"]  # as they were written before there were any
    save_checkpoint(runner.work_dir / "checkpoint" / "epoch_1.pth", state)
    again = make_runner(toy_config)
    again.train(runner.work_dir / "checkpoint" / "epoch_1.pth")
    for a, b in zip(runner.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_with_the_previous_name_of_the_logged_numbers_is_resumed(toy_config, make_runner):
    toy_config.model.type = "ToyLogger"
    runner = make_runner(toy_config)
    runner.train()
    path = runner.work_dir / "checkpoint" / "epoch_2.pth"
    state = load_checkpoint(path)
    state["means"]["watched"] = state["means"].pop("logged")
    again = make_runner(toy_config, "again")
    restore_run(again, state, path)
    assert again.means["logged"].values() == runner.means["logged"].values() != {}


def test_plugins_of_an_earlier_version_watch_numbers_under_their_previous_name(toy_config, make_runner, caplog):
    class Watching(toy.ToyNet):
        watched = {}  # noqa: RUF012

        def forward(self, batch):
            self.watched = {"said": torch.tensor(2.0)}
            return super().forward(batch)

    seen = []

    class Reads(Hook):
        def after_epoch(self, runner):
            seen.append((runner.watched, runner.means["watched"].values()))
            assert "watched" not in runner.means

    MODELS.register_module(module=Watching, force=True)
    log_renamed.cache_clear()
    toy_config.model.type = "Watching"
    runner = make_runner(toy_config)
    runner.hooks.append(Reads())
    runner.train()
    assert seen == [({"said": 2.0}, {"said": 2.0})] * 3
    told = [text for text in caplog.messages if "'watched" in text]
    assert len(told) == 2 and "the entry 'logged' of what forward returns" in told[0]
    with pytest.raises(KeyError, match="others"):
        runner.means["others"]
