from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from textgan import registry
from textgan.command_line import flags_of
from textgan.config import (
    Settings,
    TrainCommand,
    as_mapping,
    check_resumable,
    defaults,
    flatten,
    from_mapping,
    parse_train_command,
    train_command,
)
from textgan.errors import UserError
from textgan.run import Run

SEQGAN = registry.find("seqgan")


def parse(*flags: str) -> TrainCommand:
    return parse_train_command(SEQGAN, flags, "train seqgan")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    game = "game: {discriminator: {widths: [1, 2], filters: [4, 4]}, learning_rate: 2e-3}"
    file.write_text(f"seed: 5\n{game}\ndata: {{lower: true}}\n")
    return file


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run begun with other options than the defaults."""
    run = Run.create(tmp_path / "run")
    run.write_config(as_mapping("seqgan", parse("--seed", "3", "--game.rounds", "4", "--data.lower", "False").settings))
    return run


def test_without_flags_every_option_has_its_default() -> None:
    assert parse() == TrainCommand(game=SEQGAN.config())


@pytest.mark.parametrize(
    ("flags", "read"),
    [
        ("--seed 7", lambda c: c.seed == 7),
        (
            "--game.discriminator.widths 1 2 3 --game.discriminator.filters 4 5 6",
            lambda c: (c.game.discriminator.widths, c.game.discriminator.filters) == ((1, 2, 3), (4, 5, 6)),
        ),
        ("--game.whiten", lambda c: c.game.whiten is True),
        ("--game.no-whiten", lambda c: c.game.whiten is False),
        ("--data.lower True", lambda c: c.data.lower is True),
        ("--data.lower False", lambda c: c.data.lower is False),
        ("--data.lower None", lambda c: c.data.lower is None),
        ("--data.limit None", lambda c: c.data.limit is None),
        ("--game.learning-rate 1e-5", lambda c: c.game.learning_rate == 1e-5),
        ("--game.learning_rate 1e-5", lambda c: c.game.learning_rate == 1e-5),
        ("--game.reward constant", lambda c: c.game.reward == "constant"),
        ("--evaluation.temperatures 0.5 2", lambda c: c.evaluation.temperatures == (0.5, 2.0)),
        ("--corpus=--odd.txt", lambda c: c.corpus == "--odd.txt"),
        ("--run a/b --resume --no-resume", lambda c: (c.run, c.resume) == (Path("a/b"), False)),
        ("--trainer.device cpu", lambda c: c.trainer.device == "cpu"),
    ],
)
def test_flags_become_values(flags: str, read: Any) -> None:
    assert read(parse(*flags.split()))


def test_tiny_is_the_games_smallest_and_flags_have_the_last_word() -> None:
    command = parse("--tiny", "--game.rounds", "9")
    assert command.game == replace(SEQGAN.tiny, rounds=9)
    assert (command.data.limit, command.trainer.evaluations) == (600, 1)


def test_a_preset_holds_over_tiny_and_flags_over_the_preset(preset: Path) -> None:
    command = parse("--preset", str(preset), "--tiny", "--seed", "6")
    discriminator = replace(SEQGAN.tiny.discriminator, widths=(1, 2), filters=(4, 4))
    assert command.game == replace(SEQGAN.tiny, discriminator=discriminator, learning_rate=2e-3)
    assert (command.seed, command.data.lower, command.data.limit) == (6, True, 600)


def test_options_that_need_each_other_may_come_from_preset_and_flags(preset: Path) -> None:
    command = parse("--preset", str(preset), "--game.discriminator.filters", "7", "8")
    assert command.game.discriminator.filters == (7, 8)


def test_the_config_of_a_run_is_a_preset(run: Run) -> None:
    command = parse("--preset", str(run.config_file), "--seed", "4")
    assert (command.seed, command.game.rounds, command.data.lower) == (4, 4, False)


def test_presets_that_come_with_textgan_have_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    ours = parse("--preset", "seqgan-oracle")
    assert ours.corpus == "oracle"
    assert replace(ours, preset=None) == replace(parse("--preset", "configs/seqgan-oracle.yaml"), preset=None)


def test_every_preset_that_comes_with_textgan_can_be_used() -> None:
    presets = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
    assert presets
    for file in presets:
        entry = registry.find(file.stem.partition("-")[0])
        parse_train_command(entry, ["--preset", str(file)], file.stem)


def test_a_resumed_run_has_the_options_it_was_begun_with(run: Run) -> None:
    command = parse("--run", str(run.folder), "--resume")
    assert as_mapping("seqgan", command.settings) == run.config()


def test_a_resumed_run_takes_new_flags_so_that_they_can_be_refused(run: Run, preset: Path) -> None:
    asked = as_mapping("seqgan", parse("--run", str(run.folder), "--resume", "--preset", str(preset)).settings)
    with pytest.raises(UserError, match=r"data\.lower is False there and True here; .*seed is 3 there and 5 here"):
        check_resumable(run.config(), asked, run.folder)


def test_an_option_of_another_version_is_named_with_its_file(run: Run) -> None:
    config = run.config()
    config["game"]["rollotus"] = 3
    run.write_config(config)
    with pytest.raises(
        UserError, match=r"config\.yaml: there is no option --game\.rollotus; did you mean --game\.roll"
    ):
        parse("--run", str(run.folder), "--resume")


def test_a_resumed_run_may_change_what_does_not_touch_learning() -> None:
    saved = as_mapping("seqgan", Settings(game=SEQGAN.config()))
    asked = {**saved, "tensorboard": True, "trainer": {**saved["trainer"], "device": "cuda", "keep": 9, "log_every": 1}}
    check_resumable(saved, asked, Path("run"))


def test_an_option_that_only_one_side_knows_is_a_difference() -> None:
    with pytest.raises(UserError, match=r"game\.old is 1 there and None here"):
        check_resumable({"game": {"old": 1}}, {"game": {}}, Path("run"))


@pytest.mark.parametrize("name", registry.names())
def test_settings_survive_being_written_to_yaml(name: str) -> None:
    entry = registry.find(name)
    settings = replace(defaults(entry, Settings), game=entry.tiny, corpus="a b: 'c'.txt", seed=2**63 - 1)
    written = yaml.safe_load(yaml.safe_dump(as_mapping(name, settings)))
    assert from_mapping(entry, Path("config.yaml"), written) == settings


def test_options_of_a_mapping_are_those_of_the_command_line() -> None:
    options = {
        "seed": 2,
        "tiny": True,
        "game": {"discriminator": {"widths": (1,), "filters": [2]}, "whiten": True},
        "data": {"lower": True},
    }
    flags = "--seed 2 --tiny --game.discriminator.widths 1 --game.discriminator.filters 2 --game.whiten"
    flags += " --data.lower True"
    assert train_command(SEQGAN, options, "train") == parse(*flags.split())


def test_options_become_flags() -> None:
    default = TrainCommand(game=SEQGAN.config())
    game = {"discriminator": {"pool_size": None, "widths": [1, 2]}, "whiten": False}
    options = {"game": game, "data": {"lower": True}, "resume": True}
    assert flags_of(options, default) == [
        "--game.discriminator.pool-size=None",
        "--game.discriminator.widths",
        "1",
        "2",
        "--game.no-whiten",
        "--data.lower=True",
        "--resume",
    ]


def test_flattening_joins_keys_with_dots() -> None:
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": [3]}}) == {"a": 1, "b.c.d": 2, "b.e": [3]}
