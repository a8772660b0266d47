"""TextGAIL: its buffer, its demonstrations and its loss, by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from textgan.data.stories import StoryBatch
from textgan.game import Turn
from textgan.games.textgail import TINY, TextGAIL

REAL = StoryBatch(contexts(10), endings(10))


def at(progress: float) -> Turn:
    return Turn("adversarial", 0, progress)


def game(**options: Any) -> TextGAIL:
    torch.manual_seed(0)
    made = TextGAIL(dataclasses.replace(TINY, batch_size=10, mini_batch=4, **options), SPEC)
    for parameter in made.parameters():
        parameter.data.normal_(std=0.5)
    return made


@pytest.mark.parametrize(("progress", "places"), [(0.0, [3, 6, 9]), (0.5, [4, 9]), (0.99, [])])
def test_the_buffer_has_demonstrations_fewer_and_fewer(progress: float, places: list[int]) -> None:
    """3, 1.5 and 0.03 of 10: the human answers, worth 2; the others are the generator's own."""
    played = game()
    played._collect(REAL, at(progress))
    kept = played.experience.draw(10)
    shown = kept["demonstration"] == 1
    assert shown.nonzero().flatten().tolist() == places
    assert torch.equal(kept["acted"][shown], REAL.ending[shown])
    assert torch.equal(kept["acted"][~shown], kept["answers"][~shown, 0])
    assert (kept["reward"][shown] == 2).all()
    assert (kept["reward"][~shown] < 1).all()


def test_the_reward_is_a_softmax_over_the_pair_and_the_advantage_is_whitened() -> None:
    played = game()
    played._collect(REAL, at(0.0))
    kept = played.experience.draw(10)
    d = played.discriminator.reward
    for b in (0, 1, 2, 4, 5, 7, 8):
        pair = torch.cat([d(REAL.context[b][None], row[None]) for row in (REAL.ending[b], kept["answers"][b, 0])])
        assert kept["reward"][b].item() == pytest.approx(pair.softmax(0)[1].item(), abs=1e-5)
    expected = (kept["reward"] - kept["reward"].mean()) / kept["reward"].std(correction=0)
    torch.testing.assert_close(kept["advantage"], expected, rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_mini_batch_by_hand() -> None:
    played = game(passes=2, ratio_clip=0.05)
    for _ in range(3):  # 4 + 4 + 4 rows: the first pass
        played._improve(REAL, at(0.0))
    with torch.no_grad():
        for parameter in played.generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    place = int(played.experience._place)
    loss = played._improve(REAL, at(0.0)).terms["policy_gradient"]
    whole, expected, clipped = played.experience, 0.0, 0
    for row in [(place + i) % 10 for i in range(4)]:
        acted, advantage = whole.acted[row], whole.advantage[row].item()
        with torch.no_grad():
            now = played.eval().log_probs(whole.context[row][None], acted[None])[0]
        for t in range(int((acted != SPEC.pad).sum())):
            ratio = (now[t] - whole.old[row, t]).exp().item()
            bounded = min(max(ratio, 0.95), 1.05)
            expected -= min(ratio * advantage, bounded * advantage) / 4
            clipped += bounded * advantage < ratio * advantage
    assert loss.item() == pytest.approx(expected, abs=1e-3)
    assert clipped > 0


def test_a_buffer_lasts_for_its_passes() -> None:
    played, collected = game(passes=2), []
    collect = played._collect
    played._collect = lambda real, turn: collected.append(1) or collect(real, turn)  # type: ignore[method-assign]
    steps = played.stages()[2].moves[0].times
    assert steps == 6
    for _ in range(2 * steps):
        played._improve(REAL, at(0.0))
    assert len(collected) == 2


def test_the_discriminator_never_holds_a_demonstration_for_the_generators() -> None:
    played = game(demonstrations=0.9)
    played._collect(REAL, at(0.0))
    seen: list[Any] = []
    loss = played.discriminator.loss
    played.discriminator.loss = lambda *given: seen.append(given) or loss(*given)  # type: ignore[method-assign]
    played._prefer_to_seen(10)
    ((_, human, answers),) = seen
    assert torch.equal(human, REAL.ending)
    assert not (answers[:, 0] == REAL.ending).all(1).any()


def test_a_constant_reward_teaches_nothing() -> None:
    loss = game(reward="constant")._improve(REAL, at(0.0))
    assert loss.terms["policy_gradient"] == 0


def test_the_warm_up_is_on_mini_batches() -> None:
    played = game(warm_up=7)
    stage = played.stages()[1]
    assert (stage.rounds, stage.moves[0].times) == (1, 7)
    seen: list[Any] = []
    loss = played.discriminator.loss
    played.discriminator.loss = lambda *given: seen.append(given) or loss(*given)  # type: ignore[method-assign]
    stage.moves[0].loss(REAL, at(0.0))
    assert [len(x) for x in seen[0]] == [4, 4, 4]
    assert game(warm_up=0).stages()[1].rounds == 0
