"""What a shard is given, and what shards leave behind."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from tests.toys import Gaussian, ToyGame, assert_bitwise_equal, weights
from textgan.errors import UserError
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.parts.experience import Experience
from textgan.parts.pools import Pool
from textgan.reproducibility import seed_everything
from textgan.shards import Buffers, Shard, Store, current, playing, seed_place
from textgan.trainer import Trainer, TrainerConfig


def test_outside_of_a_shard_there_is_one() -> None:
    assert current() == Shard(0, 1)
    with playing(Shard(1, 3)):
        assert current() == Shard(1, 3)
    assert current() == Shard(0, 1)
    with contextlib.suppress(KeyError), playing(Shard(1, 3)):
        raise KeyError
    assert current() == Shard(0, 1)


def test_a_place_has_random_numbers_of_its_own_whatever_was_drawn_before() -> None:
    def drawn(*place: int) -> tuple[float, ...]:
        seed_place(*place)
        return tuple(torch.rand(4).tolist())

    places = [(seed, step, shard) for seed in (0, 1) for step in (0, 1, 2) for shard in (0, 1)]
    found = [drawn(*place) for place in places]
    assert len(set(found)) == len(places)
    assert [drawn(*place) for place in places[::-1]][::-1] == found


@pytest.mark.parametrize("count", [2, 3])
def test_shards_draw_from_a_pool_what_the_whole_batch_would(count: int) -> None:
    pools = [Pool(7, 1), *(Pool(7, 1) for _ in range(count))]
    for pool in pools:
        pool.add(torch.arange(7)[:, None])
    for _ in range(4):
        whole = pools[0].draw(2 * count)
        parts = []
        for index, pool in enumerate(pools[1:]):
            with playing(Shard(index, count)):
                parts.append(pool.draw(2))
        assert torch.equal(torch.cat(parts), whole)
    assert len({pool._read.item() for pool in pools}) == 1


def test_shards_draw_from_experience_what_the_whole_batch_would() -> None:
    rows = {"sentence": torch.arange(12)[:, None].expand(12, 3), "reward": torch.arange(12.0)}
    stores = [Experience(12, {"sentence": (3,)}, {"reward": ()}) for _ in range(3)]
    stores[0].fill(2, 4, **rows)
    for index, store in enumerate(stores[1:]):
        with playing(Shard(index, 2)):
            store.fill(2, 2, **rows)
    for _ in range(6):
        assert not any(store.is_spent for store in stores)
        whole = stores[0].take(4)
        parts = []
        for index, store in enumerate(stores[1:]):
            with playing(Shard(index, 2)):
                parts.append(store.take(2))
        for name, values in whole.items():
            assert torch.equal(torch.cat([part[name] for part in parts]), values)
    assert all(store.is_spent for store in stores)


class _Kept(Store):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("items", torch.zeros(3))


class _Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kept = _Kept()
        self.register_buffer("mean", torch.tensor([1.0, 2.0]))
        self.register_buffer("steps", torch.tensor(5))


def test_statistics_are_means_and_what_is_stored_is_the_first_shards() -> None:
    network = _Counting()
    buffers = Buffers(network)
    for shard in range(3):
        with buffers.of_one_more():
            assert network.mean.tolist() == [1.0, 2.0]
            assert network.steps == 5
            assert network.kept.items.tolist() == [0.0, 0.0, 0.0]
            network.mean += shard
            network.steps += 1
            network.kept.items[shard] = 9.0
    buffers.join()
    assert network.mean.tolist() == [2.0, 3.0]
    assert network.steps == 6
    assert network.kept.items.tolist() == [9.0, 0.0, 0.0]


class _Regression(Game):
    """No random numbers: shards must not change what is learned."""

    batch_size = 12

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def optimizers(self) -> dict[str, Optimizer]:
        return {"w": SGD([self.w], lr=0.1)}

    def stages(self) -> list[Stage]:
        return [Stage("only", 5, [Move("w", self._loss, clip=1.0)])]

    def _loss(self, x: Tensor, turn: Turn) -> Loss:
        return Loss({"distance": (self.w - x).square().sum(1).mean()}, {"mean": x.mean()})


@pytest.mark.parametrize("shards", [2, 3, 4])
def test_the_gradient_and_the_losses_are_those_of_the_whole_batch(shards: int) -> None:
    learned, told = [], []
    for count, micro_batch in ((1, None), (shards, None), (shards, 2)):
        game, records = _Regression(), []
        config = TrainerConfig(device="cpu", shards=count, micro_batch=micro_batch, log_every=1)
        Trainer(game, Gaussian(), config, log=records.append).play()
        learned.append(game.w.detach())
        told.append([[*record["values"].values()] for record in records if record["kind"] == "loss"])
    for w, values in zip(learned[1:], told[1:], strict=True):
        torch.testing.assert_close(w, learned[0])
        torch.testing.assert_close(torch.tensor(values), torch.tensor(told[0]))


def test_the_course_of_a_run_in_shards_follows_from_its_seed() -> None:
    played = []
    for seed in (0, 0, 1):
        seed_everything(seed)
        game = ToyGame()
        Trainer(game, Gaussian(), TrainerConfig(device="cpu", shards=4)).play()
        played.append(weights(game))
    assert_bitwise_equal(played[0], played[1])
    assert any(not torch.equal(played[0][name], played[2][name]) for name in played[0])


@pytest.mark.parametrize("shards", [0, 3])
def test_shards_that_do_not_divide_the_batch_are_refused(shards: int) -> None:
    multiple = "batch_size is 8; it must be a multiple of the number of shards, 3"
    message = multiple if shards else "trainer.shards is 0; it must be at least 1"
    with pytest.raises(UserError, match=message):
        Trainer(ToyGame(), Gaussian(), TrainerConfig(device="cpu", shards=shards))
