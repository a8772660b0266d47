"""Keys and values that stay where they are: the same as if all were copied at each token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from textgan.data.spec import NONE, TextSpec
from textgan.networks.key_cache import ForkedCache, KeyCache
from textgan.networks.transformer import TransformerGenerator
from textgan.policy_gradient import rollout_rewards
from textgan.sampling import sample

HEADS, PART, MOST = 2, 3, 5


@pytest.fixture(autouse=True)
def without_gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tables are for those who record none."""
    with torch.set_grad_enabled("gradients" in request.node.name):
        yield


def empty(rows: int) -> KeyCache:
    return KeyCache.empty(rows, HEADS, PART, MOST, torch.zeros(0))


def token(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, HEADS, 1, PART), torch.randn(rows, HEADS, 1, PART)


def read(cache: KeyCache, tokens: list[tuple[Tensor, Tensor]]) -> KeyCache:
    for keys, values in tokens:
        cache = cache.read(keys, values)
    return cache


def assert_holds(cache: KeyCache, tokens: list[tuple[Tensor, Tensor]]) -> None:
    keys, values = (torch.cat(parts, 2) for parts in zip(*tokens, strict=True))
    assert torch.equal(cache.keys, keys)
    assert torch.equal(cache.values, values)
    assert (len(cache), cache.tokens) == (len(keys), keys.shape[2])


def place(cache: KeyCache) -> int:
    return cache.keys.data_ptr()


def test_tokens_are_held_in_order_and_nothing_is_copied() -> None:
    tokens = [token(4) for _ in range(MOST)]
    first = read(empty(4), tokens[:1])
    last = read(first, tokens[1:])
    assert_holds(last, tokens)
    assert_holds(first, tokens[:1])
    assert place(last) == place(first)


def test_two_that_continue_the_same_do_not_see_each_other() -> None:
    begin, one, other = [token(2), token(2)], token(2), token(2)
    begun = read(empty(2), begin)
    first, second = begun.read(*one), begun.read(*other)
    assert_holds(first, [*begin, one])
    assert_holds(second, [*begin, other])
    assert_holds(begun, begin)
    more = token(2)
    assert_holds(first.read(*more), [*begin, one, more])


def test_more_tokens_than_there_is_room_for_are_kept_too() -> None:
    tokens = [token(1) for _ in range(MOST + 3)]
    assert_holds(read(empty(1), tokens), tokens)


def stacked(a: list[tuple[Tensor, Tensor]], b: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.cat([ka, kb]), torch.cat([va, vb])) for (ka, va), (kb, vb) in zip(a, b, strict=True)]


def test_rows_join_in_the_room_that_was_left_for_them() -> None:
    a, b, c = ([token(rows), token(rows)] for rows in (2, 3, 1))
    begun = read(empty(2), a).with_room(6)
    two = begun.joined(read(empty(3), b), 6)
    three = two.joined(read(empty(1), c), 6)
    assert_holds(three, stacked(stacked(a, b), c))
    assert_holds(two, stacked(a, b))
    assert_holds(begun, a)
    assert place(begun) == place(two) == place(three)
    after = token(6)
    assert_holds(three.read(*after), [*stacked(stacked(a, b), c), after])


def test_others_that_join_the_same_rows_do_not_overwrite_those_that_did() -> None:
    a, b, c = ([token(rows)] for rows in (2, 1, 1))
    begun = read(empty(2), a).with_room(3)
    first, second = begun.joined(read(empty(1), b), 3), begun.joined(read(empty(1), c), 3)
    assert_holds(first, stacked(a, b))
    assert_holds(second, stacked(a, c))
    alone = token(2)
    assert_holds(begun.read(*alone), [*a, alone])  # which others have outgrown
    assert_holds(first, stacked(a, b))


def test_more_rows_than_there_is_room_for_are_kept_too() -> None:
    a, b = ([token(rows)] for rows in (1, 4))
    assert_holds(read(empty(1), a).joined(read(empty(4), b), 2), stacked(a, b))


@pytest.mark.parametrize("rows", [torch.tensor([2, 0, 2]), slice(1, 3)])
def test_some_rows_go_on_without_the_others(rows: Tensor | slice) -> None:
    tokens = [token(3), token(3)]
    whole = read(empty(3), tokens)
    some = whole[rows]
    after = token(len(some))
    assert_holds(some.read(*after), [*((k[rows], v[rows]) for k, v in tokens), after])
    for_all = token(3)
    assert_holds(whole.read(*for_all), [*tokens, for_all])


def several_times(tokens: list[tuple[Tensor, Tensor]], copies: int) -> list[tuple[Tensor, Tensor]]:
    return [(k.repeat_interleave(copies, 0), v.repeat_interleave(copies, 0)) for k, v in tokens]


def assert_forks_hold(cache: KeyCache | ForkedCache, tokens: list[tuple[Tensor, Tensor]]) -> None:
    assert isinstance(cache, ForkedCache)
    assert (len(cache), cache.tokens) == (len(tokens[0][0]), len(tokens))
    assert_holds(cache.copied(), tokens)


def test_each_row_several_times_without_a_copy_of_what_it_has_read() -> None:
    tokens, after = [token(2), token(2)], [token(6), token(6)]
    begun = read(empty(2), tokens)
    forked = begun.repeat_interleave(3, 0)
    assert_forks_hold(forked, several_times(tokens, 3))
    gone_on = read(forked, after)
    assert_forks_hold(gone_on, [*several_times(tokens, 3), *after])
    assert_forks_hold(forked, several_times(tokens, 3))
    assert gone_on.forks[0].before.keys.data_ptr() == place(begun)
    assert gone_on.forks[0].since.keys[0].numel() == 2 * HEADS * PART
    assert_forks_hold(gone_on.repeat_interleave(2, 0), several_times([*several_times(tokens, 3), *after], 2))


@pytest.mark.parametrize(
    "rows",
    [
        torch.tensor([0, 3, 3, 4, 9]), torch.tensor([1, 8, 9]), torch.tensor([5]), slice(2, 8), slice(0, 0),
        torch.arange(10) % 3 == 0,
    ],
)  # fmt: skip
def test_forks_of_different_lengths_go_on_together_and_without_some(rows: Tensor | slice) -> None:
    a, b, c = [token(2)], [token(1), token(1)], [token(4), token(4)]
    begun, other = read(empty(2), a[:1]), read(empty(1), b)
    first = [*several_times(a, 2), c[0]]
    joined = read(begun.repeat_interleave(2, 0), [c[0]]).joined(other.repeat_interleave(4, 0), 10)
    tokens = stacked(first, several_times(b, 4))
    assert_forks_hold(joined, tokens)
    plain = read(empty(2), two := [token(2), token(2)])
    joined = joined.joined(plain, 10)
    tokens = stacked(tokens, two)
    assert_forks_hold(joined, tokens)
    after = token(10)
    joined = joined.read(*after)
    tokens = [*tokens, after]
    some = joined[rows]
    chosen = [(k[rows], v[rows]) for k, v in tokens]
    assert_forks_hold(some, chosen)
    if len(some):
        last = token(len(some))
        assert_forks_hold(some.read(*last), [*chosen, last])
    assert_forks_hold(joined, tokens)


def test_forks_are_copied_where_that_takes_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [token(2), token(2)]
    forked = read(empty(2), tokens).repeat_interleave(3, 0)
    roomy = forked.with_room(9)
    assert isinstance(roomy, KeyCache)
    joined = roomy.joined(read(empty(1), [x := token(1), y := token(1)]).repeat_interleave(3, 0), 9)
    assert_holds(joined, stacked(several_times(tokens, 3), several_times([x, y], 3)))
    assert place(joined) == place(roomy)
    table = 2 * 9 * HEADS * MOST * PART * 4
    monkeypatch.setattr("textgan.networks.key_cache.LARGEST_TABLE", table - 1)
    assert isinstance(forked.with_room(9), ForkedCache)
    assert isinstance(forked.with_room(8), KeyCache)
    on_a_gpu = KeyCache.empty(2, HEADS, PART, MOST, torch.zeros(0, device="meta")).repeat_interleave(3, 0)
    assert isinstance(on_a_gpu.with_room(9), KeyCache)


def test_forks_in_another_order_are_copies() -> None:
    a, b = [token(1)], [token(2)]
    joined = read(empty(1), a).repeat_interleave(2, 0).joined(read(empty(2), b).repeat_interleave(1, 0), 4)
    rows = torch.tensor([3, 0])
    assert isinstance(joined[rows], KeyCache)
    assert_holds(joined[rows], [(k[rows], v[rows]) for k, v in stacked(several_times(a, 2), b)])


def test_copies_may_be_joined_by_forks() -> None:
    a, b = [token(2)], [token(1)]
    joined = read(empty(2), a).joined(read(empty(1), b).repeat_interleave(2, 0), 4)
    assert_holds(joined, stacked(a, several_times(b, 2)))


def test_gradients_reach_every_token_that_was_read() -> None:
    tokens = [tuple(x.requires_grad_() for x in token(1)) for _ in range(3)]
    cache = read(empty(1), tokens)
    (cache.keys.sum() + 2 * cache.values.sum()).backward()
    for keys, values in tokens:
        assert keys.grad.eq(1).all()
        assert values.grad.eq(2).all()


def test_what_attended_to_keys_without_gradients_has_them_when_more_were_read() -> None:
    query = torch.randn(1, HEADS, 1, PART, requires_grad=True)
    cache, scores, frozen = empty(1), [], [token(1) for _ in range(3)]
    for keys, values in frozen:
        cache = cache.read(keys, values)
        scores.append((query @ cache.keys.transpose(2, 3)).sum())
    torch.stack(scores).sum().backward()
    expected = sum((3 - t) * keys for t, (keys, _) in enumerate(frozen))
    torch.testing.assert_close(query.grad, expected)


@pytest.mark.parametrize("first", [1, 2, MOST + 2])
def test_several_tokens_may_be_read_at_once(first: int) -> None:
    tokens = [token(2) for _ in range(MOST + 3)]

    def at_once(some: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        return [torch.cat(parts, 2) for parts in zip(*some, strict=True)]

    some = empty(2).read(*at_once(tokens[:first]))
    more = some.read(*at_once(tokens[first:]))
    assert_holds(some, tokens[:first])
    assert_holds(more, tokens)


class Copying(KeyCache):
    """Copies everything at every token."""

    def read(self, keys: Tensor, values: Tensor) -> KeyCache:
        return Copying(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2), self.most)

    def joined(self, others: KeyCache, rows: int) -> KeyCache:
        return Copying(torch.cat([self.keys, others.keys]), torch.cat([self.values, others.values]), self.most)

    def with_room(self, rows: int) -> KeyCache:
        return self

    def __getitem__(self, rows: Tensor | slice) -> KeyCache:
        return Copying(self.keys[rows], self.values[rows], self.most)

    def repeat_interleave(self, copies: int, dim: int) -> KeyCache:
        keys, values = (x.repeat_interleave(copies, dim) for x in (self.keys, self.values))
        return Copying(keys, values, self.most)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("largest_table", [0, 80_000, 2**27])  # forks, forks until rows have ended, none
def test_a_transformer_writes_and_is_rewarded_as_if_all_were_copied(
    ends: bool, largest_table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgan.networks.key_cache.LARGEST_TABLE", largest_table)
    kept: list[type] = []
    with_room = ForkedCache.with_room

    def noted(cache: ForkedCache, rows: int) -> KeyCache | ForkedCache:
        kept.append(type(found := with_room(cache, rows)))
        return found

    monkeypatch.setattr(ForkedCache, "with_room", noted)
    marks = {} if ends else {"bos": 0, "eos": NONE, "pad": NONE, "unk": NONE}
    spec = TextSpec(8, 7, 100, **marks)
    torch.manual_seed(0)
    network = TransformerGenerator(spec, 8, layers=2, heads=2).double()
    for weight in network.blocks.parameters():
        torch.nn.init.normal_(weight)

    def found() -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        drawn = sample(network, spec, 9, uniforms=torch.rand(9, spec.length))
        uniforms = torch.rand(spec.length - 1, 3, 9, spec.length)
        return drawn, rollout_rewards(network, spec, drawn, lambda rows, _: rows.float().mean(1), 3, uniforms=uniforms)

    in_place = found()
    expected = {0: {ForkedCache}, 80_000: {ForkedCache, KeyCache} if ends else {ForkedCache}, 2**27: {KeyCache}}
    assert set(kept) == expected[largest_table]
    monkeypatch.setattr("textgan.networks.transformer.KeyCache", Copying)
    copied = found()
    assert torch.equal(in_place[0], copied[0])
    assert torch.equal(in_place[1], copied[1])
    assert not ends or len((in_place[0] != spec.pad).sum(1).unique()) > 1  # some ended before others
