"""What a game says of many examples: a few at a time, alone or in parts by a crew."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textgan.crew import Crew
from textgan.errors import UserError
from textgan.inference import samples_of, values_of
from textgan.processes import Alone
from textgan.reproducibility import forked_rng
from textgan.shards import Shard, current


class Talker(nn.Module):
    """Tells what it was asked: the size and options of each call."""

    def __init__(self, categories: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.categories = categories
        self.calls: list[int] = []

    def sample(self, n: int, *given: Tensor, scale: float = 1.0) -> Tensor:
        """Noise; then the category, each in turn; then what was given."""
        self.calls.append(n)
        in_turn = torch.arange(n) % self.categories
        return torch.stack([torch.rand(n) * scale, in_turn, *given], 1)

    def twice(self, numbers: Tensor, more: Tensor, plus: float = 0.0) -> Tensor:
        self.calls.append(len(numbers))
        return (self.weight * numbers + more + plus).half()

    def kinds(self, numbers: Tensor) -> Tensor:
        return numbers.long() % 2


class Together(Alone):
    """Processes that are pretended: the first asks, and each of the crews answers."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        self.crews: list[Crew] = []

    def ask(self, question: Any, answer: Any) -> list[Any]:
        return [crew._answer(question) for crew in self.crews]


def crew_of(game: nn.Module, each: list[list[int]]) -> Crew:
    """Of processes that play these shards; the first of them."""
    count = sum(map(len, each))
    if len(each) == 1:
        return Crew(game, Alone(torch.device("cpu")), [Shard(i, count) for i in each[0]], seed=5)
    together = Together()
    together.crews = [Crew(game, together, [Shard(i, count) for i in mine], seed=5) for mine in each]
    return together.crews[0]


class TestAlone:
    def test_samples_are_drawn_a_few_at_a_time_and_are_those_of_these_calls(self) -> None:
        game, given = Talker(), torch.arange(7.0)
        with forked_rng(1):
            found = samples_of(game, 7, given, rows=3, scale=4.0)
        assert game.calls == [3, 3, 1]
        with forked_rng(1), torch.no_grad():
            expected = [game.sample(len(part), part, scale=4.0) for part in given.split(3)]
        assert torch.equal(found, torch.cat(expected))

    def test_all_at_once_where_nothing_is_said(self) -> None:
        game = Talker()
        samples_of(game, 1000)
        assert game.calls == [1000]

    @pytest.mark.parametrize("rows", [7, 2])
    def test_categories_in_turn_go_on_from_call_to_call(self, rows: int) -> None:
        found = samples_of(Talker(categories=3), 11, rows=rows, together=3)
        assert found[:, 1].tolist() == [i % 3 for i in range(11)]

    def test_values_are_of_every_row_in_full_precision_without_a_gradient(self) -> None:
        game, numbers = Talker(), torch.arange(5.0)
        found = values_of(game.twice, numbers, 10 * numbers, rows=2, plus=1.0)
        assert game.calls == [2, 2, 1]
        assert found.tolist() == [1, 13, 25, 37, 49]
        assert found.dtype == torch.float32
        assert not found.requires_grad

    def test_whole_numbers_stay_whole(self) -> None:
        assert values_of(Talker().kinds, torch.arange(4.0), rows=9).dtype == torch.int64


class TestCrew:
    def measure(self, each: list[list[int]], categories: int = 1) -> tuple[Tensor, ...]:
        game, given = Talker(categories), torch.arange(11.0)

        def asked() -> tuple[Tensor, ...]:
            drawn = samples_of(game, 11, given, rows=2, together=categories)
            again = samples_of(game, 11, given)
            return drawn, again, values_of(game.twice, given, given, rows=3), torch.rand(3)

        with forked_rng(0):
            return crew_of(game, each).lead(asked)

    def test_any_number_of_processes_finds_the_same(self) -> None:
        one = self.measure([[0, 1, 2, 3]])
        for each in ([[0, 1], [2, 3]], [[0], [1], [2], [3]]):
            for mine, theirs in zip(self.measure(each), one, strict=True):
                assert torch.equal(mine, theirs)

    def test_every_example_is_answered_once_and_in_order(self) -> None:
        drawn, again, values, _ = self.measure([[0, 1], [2]], categories=2)
        assert drawn[:, 2].tolist() == again[:, 2].tolist() == list(range(11))
        assert drawn[:, 1].tolist() == [i % 2 for i in range(11)]
        assert values.tolist() == [3 * i for i in range(11)]

    def test_no_two_shards_and_no_two_questions_have_the_same_random_numbers(self) -> None:
        drawn, again, _, after = self.measure([[0], [1]])
        noise = torch.cat([drawn[:, 0], again[:, 0], after])
        assert len(noise.unique()) == len(noise)

    def test_more_shards_than_examples_leave_some_without_any(self) -> None:
        game = Talker()
        found = crew_of(game, [[0, 1, 2], [3, 4]]).lead(lambda: samples_of(game, 2))
        assert len(found) == 2
        assert game.calls == [1, 1]

    def test_a_game_knows_which_shard_asks(self) -> None:
        class Placed(nn.Module):
            def sample(self, n: int) -> Tensor:
                return torch.full((n,), current().index)

        game = Placed()
        assert crew_of(game, [[0, 1]]).lead(lambda: samples_of(game, 5)).tolist() == [0, 0, 1, 1, 1]
        assert current() == Shard()

    def test_one_shard_is_what_the_first_finds_alone(self) -> None:
        game = Talker()
        with forked_rng(3):
            led = crew_of(game, [[0]]).lead(lambda: samples_of(game, 9))
        with forked_rng(3):
            assert torch.equal(led, samples_of(game, 9))

    def test_after_an_error_questions_are_answered_alone_again(self) -> None:
        game = Talker()

        def fail() -> None:
            raise UserError("no")

        with pytest.raises(UserError, match="no"):
            crew_of(game, [[0, 1]]).lead(fail)
        samples_of(game, 4)
        assert game.calls == [4]
