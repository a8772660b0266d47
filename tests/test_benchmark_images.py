"""What the benchmark of image games asks of each run: nothing is trained here."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from tests.scripts import FOLDER, load_script
from textgan.config import parse_train_command
from textgan.errors import UserError
from textgan.registry import find


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmark_images")


def jobs_of(script: ModuleType, **changed: Any) -> list[Any]:
    return list(script.jobs(dataclasses.replace(script.Command(), **changed)))


def test_every_game_that_makes_no_text_is_played_on_its_own_corpus(script: ModuleType) -> None:
    tables = {job.system: job.corpus for job in jobs_of(script)}
    assert {"gan", "cyclegan", "zi2zi", "rgan"} <= tables.keys()
    assert not {"mle", "seqgan", "sentigan", "story_ending", "gad"} & tables.keys()
    assert tables["dcgan"] == "images-digits"
    assert tables["inpainting"] == "image_pairs-digits-hole"
    assert tables["curve"] == "series-curves"


def test_all_jobs_are_commands_that_the_trainer_takes(script: ModuleType) -> None:
    for job in jobs_of(script, seeds=(3,), options=("trainer.ema=0.9",)):
        command = parse_train_command(find(job.flags[0]), job.flags[1:], "train")
        assert (command.seed, command.trainer.ema, command.run) == (3, 0.9, job.folder)


def test_on_a_corpus_the_games_with_a_preset_for_it_are_played(script: ModuleType) -> None:
    jobs = jobs_of(script, corpora=("faces",))
    assert all(f"--preset={FOLDER.parent}/configs/{job.system}-faces.yaml" in job.flags for job in jobs)
    assert {"dcgan", "vae_gan"} <= {job.system for job in jobs}
    assert "acgan" not in {job.system for job in jobs}
    with pytest.raises(UserError, match="corpora is nowhere; no game has a preset"):
        jobs_of(script, corpora=("nowhere",))


def test_systems_that_are_named_are_played_on_any_corpus(script: ModuleType) -> None:
    system = "sn:dcgan+discriminator.spectral=true"
    (job,) = jobs_of(script, corpora=("mine=images/of/mine",), systems=(system,))
    assert (job.corpus, job.folder.name) == ("images-mine", "sn-0")
    command = parse_train_command(find("dcgan"), job.flags[1:], "train")
    assert command.corpus == "images/of/mine"
    assert command.game.discriminator.spectral
