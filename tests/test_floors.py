"""Costs against counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from textgan.floors import Cost, Counter, Speeds, counted, measured_speeds

B, E, H, T, V = 3, 5, 6, 4, 50
NUMBER = 4
"""Bytes of a float32."""


def cost(call: Callable[[], Any]) -> Cost:
    """Of a call without gradients."""
    with torch.no_grad():
        return counted(call)[0]


def test_a_matrix_product_reads_both_matrices_and_writes_the_third() -> None:
    a, b = torch.rand(B, E), torch.rand(E, H)
    found, product = counted(lambda: a @ b)
    assert found == Cost(2 * B * E * H, NUMBER * (B * E + E * H + B * H))
    assert torch.equal(product, a @ b)


def test_an_lstm_cell() -> None:
    cell = nn.LSTMCell(E, H)
    inputs, state = torch.rand(B, E), (torch.rand(B, H), torch.rand(B, H))
    numbers = B * E + 4 * H * (E + H) + 2 * 4 * H + 2 * B * H + 2 * B * H  # inputs, weights, biases, state, new state
    assert cost(lambda: cell(inputs, state)) == Cost(2 * B * 4 * H * (E + H), NUMBER * numbers)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_lstm_layer_costs_what_its_cells_do_and_twice_that_backwards(layers: int) -> None:
    lstm = nn.LSTM(E, H, num_layers=layers, batch_first=True)
    inputs = torch.rand(B, T, E, requires_grad=True)
    forward = 2 * B * T * 4 * H * ((E + H) + (layers - 1) * 2 * H)
    assert cost(lambda: lstm(inputs)[0]).flops == forward
    assert counted(lambda: lstm(inputs)[0].sum().backward())[0].flops == 3 * forward


def test_attention_is_two_products_and_five_backwards() -> None:
    query = torch.rand(2, 3, T, 8, requires_grad=True)
    key, value = (torch.rand(2, 3, 2 * T, 8, requires_grad=True) for _ in range(2))
    product = 2 * 2 * 3 * T * 2 * T * 8
    assert cost(lambda: F.scaled_dot_product_attention(query, key, value)).flops == 2 * product
    both = counted(lambda: F.scaled_dot_product_attention(query, key, value).sum().backward())[0]
    assert both.flops == (2 + 5) * product


def test_of_a_table_only_the_rows_are_read_that_are_picked() -> None:
    table, rows = torch.rand(V, E), torch.tensor([7, 7, 3])
    moved = 8 * 3 + NUMBER * 2 * 3 * E
    assert cost(lambda: F.embedding(rows, table)).moved == moved
    assert cost(lambda: table[rows]).moved == moved


def test_what_is_made_on_the_way_is_not_moved() -> None:
    a = torch.rand(B, E)
    assert cost(lambda: (a * 2 + 1).exp().sum()).moved == NUMBER * (B * E + 1)


def test_to_look_at_a_part_moves_nothing() -> None:
    a = torch.rand(B, E)
    assert cost(lambda: a.t()[1:]).moved == 0
    assert cost(lambda: a[0] + 1).moved == NUMBER * 2 * E


def test_what_is_changed_is_read_and_written_and_what_is_overwritten_only_written() -> None:
    a, b = torch.rand(B, E), torch.rand(B, E)
    assert cost(lambda: a.add_(1)).moved == NUMBER * 2 * B * E
    assert cost(lambda: a.copy_(b)).moved == NUMBER * 2 * B * E
    assert cost(lambda: a.zero_()).moved == NUMBER * B * E
    assert cost(lambda: torch.add(b, 1, out=a)).moved == NUMBER * 2 * B * E


def test_what_is_kept_for_the_backward_pass_is_written_and_read() -> None:
    inputs, weight = torch.rand(B, E), torch.rand(E, H, requires_grad=True)
    found = counted(lambda: (inputs @ weight).exp().sum().backward())[0]
    outside = B * E + E * H  # each once, although the backward pass reads the inputs again
    assert found.moved == NUMBER * (outside + 2 * B * H + E * H)  # exp keeps its result; the gradient stays
    assert found.flops == 2 * (2 * B * E * H)


def test_an_optimiser_step() -> None:
    weight = nn.Parameter(torch.rand(E, H))
    weight.grad = torch.rand(E, H)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.step()
    assert counted(optimizer.step)[0] == Cost(0, NUMBER * 3 * E * H)


def test_a_gradient_penalty_is_counted() -> None:
    weight, inputs = torch.rand(E, 1, requires_grad=True), torch.rand(B, E, requires_grad=True)

    def penalty() -> None:
        (slope,) = torch.autograd.grad((inputs @ weight).exp().sum(), inputs, create_graph=True)
        slope.square().sum().backward()

    assert counted(penalty)[0].flops > 3 * 2 * B * E
    expected = ((inputs @ weight).exp() * weight.t()).square().sum()
    (gradient,) = torch.autograd.grad(expected, weight)
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, gradient)  # counting changes nothing


def test_a_counter_reads_once_what_several_calls_read() -> None:
    counter, weight = Counter(), torch.rand(E, H)
    with torch.no_grad():
        found = [counter.run(lambda row=row: row @ weight) for row in torch.rand(2, 1, E)]
    assert counter.cost == Cost(2 * 2 * E * H, NUMBER * (2 * E + E * H + 2 * H))
    del found
    assert counter.cost.moved == NUMBER * (2 * E + E * H)  # what is not there any more need not have been written


def test_costs_add_up_and_the_floor_is_the_larger_of_two() -> None:
    assert Cost(1, 2) + Cost(3, 4).times(2) == Cost(7, 10)
    speeds = Speeds(flops=10.0, moved=5.0)
    assert speeds.floor(Cost(20, 5)) == 2
    assert speeds.floor(Cost(20, 15)) == 3


def test_speeds_are_numbers_of_this_machine() -> None:
    speeds = measured_speeds(torch.device("cpu"), [torch.float32, torch.bfloat16], size=16, numbers=64, repeats=2)
    assert 0 < speeds.flops < float("inf")
    assert 0 < speeds.moved < float("inf")
