"""What is seen of a step from outside; the numbers of seconds themselves are not tested."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.toys import weights
from textgan import policy_gradient, registry
from textgan.categorical import BLOCK
from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.data.oracle import OracleSplit
from textgan.data.spec import StorySpec, TextSpec
from textgan.data.stories import StoryBatch
from textgan.game import Act, Move, Place, Stage
from textgan.profiling import (
    DECODE,
    PARTS,
    REWARD,
    Profiler,
    StepProfile,
    amount_of,
    describe,
    kinds,
    replaced,
    rollout_costs,
)
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

V, T, N = 12, 7, 40
SPEC = TextSpec(V, T, N, bos=0, eos=-1, pad=-1, unk=-1)
CONFIG = TrainerConfig(device="cpu")


def parts() -> tuple[Any, Batches]:
    """A SeqGAN of the smallest sizes and its data."""
    entry = registry.find("seqgan")
    seed_everything(0)
    sentences = torch.randint(V, (N, T))
    discriminator = replace(entry.tiny.discriminator, pool_size=32, refills=2)
    config = replace(entry.tiny, batch_size=16, rounds=4, discriminator=discriminator)
    return entry.game(config, SPEC), Batches(OracleSplit(sentences), 0)


@pytest.fixture(scope="module")
def profiles() -> list[StepProfile]:
    return list(Profiler(*parts(), CONFIG).profile(steps=2))


def of(profiles: list[StepProfile], stage: str, move: str) -> StepProfile:
    (found,) = (p for p in profiles if (p.stage, p.move) == (stage, move))
    return found


def test_every_kind_of_step_is_there_once_and_how_often_a_round_has_it(profiles: list[StepProfile]) -> None:
    assert {(p.stage, p.move): p.times for p in profiles} == {
        ("pretrain_generator", "generator_mle: likelihood"): 3,
        ("pretrain_discriminator", "refill"): 1,
        ("pretrain_discriminator", "discriminator: loss"): 2,
        ("adversarial", "start_rollouts"): 1 / 4,
        ("adversarial", "generator: reinforce"): 2,
        ("adversarial", "refill"): 2,
        ("adversarial", "discriminator: loss"): 4,
    }


def test_the_parts_of_a_move_are_all_of_it(profiles: list[StepProfile]) -> None:
    for profile in profiles:
        if ":" not in profile.move:
            assert profile.parts == {}
            continue
        assert tuple(profile.parts) == (*PARTS, "rest")
        assert min(profile.parts.values()) > 0
        assert sum(profile.parts.values()) == pytest.approx(profile.seconds)


def test_moves_are_handed_tokens_and_acts_are_not(profiles: list[StepProfile]) -> None:
    assert {(p.amount, p.unit) for p in profiles} == {(16 * T, "tokens"), (0, "")}


def test_only_rolled_out_losses_have_inner_parts_which_are_of_the_loss(profiles: list[StepProfile]) -> None:
    profile = of(profiles, "adversarial", "generator: reinforce")
    assert [part.name for part in profile.inner] == [DECODE, REWARD]
    assert 0 < sum(part.seconds for part in profile.inner) < profile.parts["loss"]
    flops = [part.cost.flops for part in profile.inner]
    assert min(flops) > 0
    assert sum(flops) < profile.cost.flops
    assert not any(p.inner for p in profiles if p is not profile)


def test_the_likelihood_costs_what_its_products_do(profiles: list[StepProfile]) -> None:
    config = registry.find("seqgan").tiny.generator
    position = 4 * config.hidden * (config.embedding + config.hidden) + V * config.hidden
    assert of(profiles, "pretrain_generator", "generator_mle: likelihood").cost.flops == 3 * 2 * 16 * T * position


def test_a_game_learns_the_same_whether_it_is_watched_or_not() -> None:
    game, batches = parts()
    plain = Trainer(game, batches, CONFIG)
    other, others_batches = parts()
    profiler = Profiler(other, others_batches, CONFIG)
    seed_everything(1)
    for _ in range(3):
        plain.make(Place(0, 0, 0))
    seed_everything(1)
    profiler.trainer.make(Place(0, 0, 0))
    profiler._split(lambda: profiler.trainer.make(Place(0, 0, 0)), 2)
    for name, weight in weights(game).items():
        assert torch.equal(weights(other)[name], weight), name


def test_afterwards_everything_is_as_it_was() -> None:
    rollout_rewards, backward = policy_gradient.rollout_rewards, torch.Tensor.backward
    next(Profiler(*parts(), CONFIG).profile(steps=1))
    used = sys.modules["textgan.parts.rollout_policy"].rollout_rewards  # type: ignore[attr-defined]
    assert policy_gradient.rollout_rewards is used is rollout_rewards
    assert torch.Tensor.backward is backward


def test_a_trace_has_a_round_of_the_last_stage(tmp_path: Any) -> None:
    profiler = Profiler(*parts(), CONFIG)
    assert profiler.trace(tmp_path / "trace.json", most=1) == "adversarial"
    text = (tmp_path / "trace.json").read_text()
    for name in ("start_rollouts", "generator: reinforce", "refill", "discriminator: loss"):
        assert f'"{name}"' in text


def test_roll_outs_cost_what_their_steps_do() -> None:
    """Each completion of a prefix of t tokens takes T - t - 1 steps of the LSTM and as many choices of a word; their
    first words are chosen from one distribution."""
    game, batches = parts()
    trainer = Trainer(game, batches, CONFIG)
    (reinforce,) = (
        m for m, move in enumerate(game.stages()[2].moves) if isinstance(move, Move) and "gen" in move.player
    )
    costs = rollout_costs(lambda: trainer.make(Place(2, 0, reinforce)))
    config, copies = game.config.generator, game.config.rollouts
    cell = 4 * config.hidden * (config.embedding + config.hidden)
    choice = math.ceil(V / BLOCK) * BLOCK * (config.hidden + 1)  # and the bias
    read = T  # the begin mark and the prefixes, of each sentence once
    steps = read + copies * sum(T - t - 1 for t in range(1, T))
    choices = T - 1 + copies * sum(T - t - 1 for t in range(1, T))
    assert costs[DECODE].flops == 2 * 16 * (steps * cell + choices * choice)
    sentences = 16 * (1 + copies * (T - 1))
    highway = 2 * game.opponent.network.size**2 + game.opponent.network.size
    assert costs[REWARD].flops > 2 * sentences * highway  # and the convolutions


def test_kinds_are_told_by_identity() -> None:
    move, act = Move("a", lambda *_: None, times=2), Act(print, every=3)  # type: ignore[arg-type,return-value]
    assert kinds(Stage("s", 6, [act, move, act, move, move])) == [(0, 2 * 2 / 6), (1, 6.0)]


def test_what_has_no_name_is_described_by_what_it_is() -> None:
    class Nameless:
        def __call__(self, *_: Any) -> Any: ...

    assert describe(Move("a", Nameless())) == "a: loss"
    assert describe(Act(Nameless())) == "act"


def test_amounts() -> None:
    padded = TextSpec(V, 3, N)
    assert amount_of(torch.tensor([[4, 5, 2], [4, 2, 0]]), padded) == (5, "tokens")
    stories = StoryBatch(torch.tensor([[[4, 0], [5, 6]]]), torch.tensor([[4, 2, 0]]))
    assert amount_of(stories, StorySpec(V, 3, N)) == (5, "tokens")
    assert amount_of(torch.zeros(5, 1, 2, 2), ImageSpec(1, 2, 2, N)) == (5, "images")
    assert amount_of(torch.zeros(5, 9, 2), None) == (5, "examples")


def test_a_function_is_replaced_wherever_it_is_known() -> None:
    from textgan.games import sentigan, story_ending

    former = policy_gradient.rollout_rewards
    with replaced(former, print):
        assert policy_gradient.rollout_rewards is story_ending.rollout_rewards is sentigan.rollout_rewards is print
    assert policy_gradient.rollout_rewards is story_ending.rollout_rewards is sentigan.rollout_rewards is former
