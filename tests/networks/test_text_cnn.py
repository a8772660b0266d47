from __future__ import annotations

import pytest
import torch

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.networks import text_cnn
from textgan.networks.text_cnn import SEQGAN_FILTERS, TextCNN
from textgan.networks.windows import WordTable

TEXT = TextSpec(30, 9, train_size=0)
ORACLE = TextSpec(30, 9, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
WIDTHS, FILTERS = (1, 2, 3, 5, 9), (4, 3, 5, 2, 6)


def network(spec: TextSpec, dropout: float = 0.0) -> TextCNN:
    torch.manual_seed(0)
    built = TextCNN(spec, WIDTHS, FILTERS, embedding=8, dropout=dropout).double()
    for parameter in built.parameters():
        parameter.data.normal_()
    return built


def batch(spec: TextSpec) -> torch.Tensor:
    """Sentences of every length."""
    torch.manual_seed(1)
    tokens = torch.randint(3, 30, (20, 9))
    if spec.pad != NONE:
        for row in range(20):
            tokens[row, 1 + row % 9 :] = spec.pad
    return tokens


def naive(built: TextCNN, row: list[int]) -> float:
    """The definition: one sentence, one window and one filter at a time."""
    words = [built.embedding.weight[token] for token in row if token != built.spec.pad]
    features = []
    for window in built.windows:
        width = window.kernel_size[0]
        padded = words + [torch.zeros(8, dtype=torch.float64)] * max(0, width - len(words))
        for weight, bias in zip(window.weight, window.bias, strict=True):
            values = [
                bias + sum(weight[:, k] @ padded[start + k] for k in range(width))
                for start in range(len(padded) - width + 1)
            ]
            features.append(max(0.0, max(value.item() for value in values)))
    x = torch.tensor(features, dtype=torch.float64)
    candidate = built.highway.weight @ x + built.highway.bias
    carry = (built.gate.weight @ x + built.gate.bias).sigmoid()
    z = carry * candidate.clamp(min=0) + (1 - carry) * x
    return (built.output.weight[0] @ z + built.output.bias[0]).item()


@pytest.mark.parametrize("spec", [TEXT, ORACLE])
@pytest.mark.parametrize("record", [True, False])
def test_scores_equal_the_naive_loop(spec, record):
    built, tokens = network(spec), batch(spec)
    with torch.set_grad_enabled(record):
        scores = built(tokens)
    assert scores.tolist() == pytest.approx([naive(built, row) for row in tokens.tolist()])


def test_scores_do_not_depend_on_the_padding_or_its_embedding():
    built, tokens = network(TEXT), batch(TEXT)
    short = tokens[(tokens != 0).sum(1) <= 5]
    scores = built(short)
    more_padding = torch.cat([short, torch.zeros(len(short), 4, dtype=torch.int64)], 1)
    torch.testing.assert_close(built(more_padding), scores)
    built.embedding.weight.data[0] = 1e3
    torch.testing.assert_close(built(short), scores)


def test_gradients_agree_with_finite_differences():
    built, tokens = network(TEXT), batch(TEXT)[:4]
    inputs = built.embedding(tokens).detach().requires_grad_()
    lengths = (tokens != 0).sum(1)
    assert torch.autograd.gradcheck(lambda x: built.features_embedded(x, lengths), inputs)


def test_embedded_features_equal_those_of_the_tokens():
    built, tokens = network(ORACLE), batch(ORACLE)
    torch.testing.assert_close(built.features_embedded(built.embedding(tokens)), built.features(tokens))


@pytest.mark.parametrize("spec", [TEXT, ORACLE])
@pytest.mark.parametrize("shared", [1, 4, 8])
@pytest.mark.parametrize("record", [True, False])
def test_sharing_a_prefix_does_not_change_the_scores(spec, shared, record):
    built, tokens = network(spec), torch.randint(3, 30, (24, 9))
    if spec is TEXT:
        for row in range(24):
            tokens[row, shared + 1 + row % 5 :] = spec.pad
    tokens[:, :shared] = tokens[::4, :shared].repeat_interleave(4, 0)
    with torch.set_grad_enabled(record):
        whole = built(tokens)  # by convolutions: there are no tables yet
        torch.testing.assert_close(built(tokens, shared, copies=4), whole)


def test_looked_up_scores_follow_the_weights():
    built, tokens = network(TEXT), batch(TEXT)[:16]
    tokens[:, :1] = tokens[::4, :1].repeat_interleave(4, 0)
    with torch.no_grad():
        before = built(tokens, 1, copies=4)
        few = built(tokens[:4], 1, copies=4)  # fewer words than the vocabulary: the tables are there already
        built.windows[2].weight.mul_(2)
        after, whole = built(tokens, 1, copies=4), built(tokens)
    torch.testing.assert_close(few, before[:4])
    torch.testing.assert_close(after.tolist(), [naive(built, row) for row in tokens.tolist()])
    torch.testing.assert_close(whole, after)
    assert not torch.allclose(before, after)


def test_tables_are_made_for_rollouts_alone_and_given_back(monkeypatch):
    made = []
    monkeypatch.setattr(text_cnn, "WordTable", lambda *given: made.append(given) or WordTable(*given))
    built, tokens = network(ORACLE), batch(ORACLE)[:1].repeat(16, 1)
    built(tokens, 3, copies=4)
    with torch.no_grad():
        built(tokens)
        built(tokens[:3], 3, copies=3)
        assert made == []
        built(tokens, 3, copies=4)
        built(tokens, 5, copies=4)
        assert len(made) == len(WIDTHS)
    built(tokens)
    with torch.no_grad():
        built(tokens, 3, copies=4)
        assert len(made) == 2 * len(WIDTHS)
        monkeypatch.setattr(
            text_cnn, "MOST_TABULATED", 8 * 31 * sum(w * f for w, f in zip(WIDTHS, FILTERS, strict=True)) - 1
        )
        built.windows[0].weight.mul_(1)
        built(tokens, 3, copies=4)
        assert len(made) == 2 * len(WIDTHS)


def test_every_parameter_receives_a_gradient():
    built = network(TEXT, dropout=0.25)
    built(batch(TEXT)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in built.parameters())
    assert built.embedding.weight.grad[0].eq(0).all()


def test_dropout_is_off_in_eval_mode():
    built, tokens = network(TEXT, dropout=0.5), batch(TEXT)
    assert not torch.equal(built(tokens), built(tokens))
    torch.testing.assert_close(built.eval()(tokens), network(TEXT)(tokens))


def test_output_penalty_is_half_the_sum_of_squares():
    built = network(TEXT)
    numbers = [*built.output.weight.flatten().tolist(), built.output.bias.item()]
    assert built.output_penalty().item() == pytest.approx(sum(number**2 for number in numbers) / 2)


def test_the_papers_widths_and_the_highways_bias():
    built = TextCNN(TextSpec(30, 20, train_size=0))
    assert built.size == sum(SEQGAN_FILTERS.values()) == 1720
    assert [window.kernel_size[0] for window in built.windows] == [*range(1, 11), 15, 20]
    assert [window.out_channels for window in built.windows] == [100, *[200] * 4, *[100] * 5, 160, 160]
    assert built.gate.bias.eq(-2).all()


def test_widths_that_do_not_fit_are_left_out():
    built = TextCNN(TextSpec(30, 9, train_size=0), (2, 9, 10), (3, 4, 5))
    assert [(window.kernel_size[0], window.out_channels) for window in built.windows] == [(2, 3), (9, 4)]
    with pytest.raises(UserError, match=r"widths \(=\(10, 12\)\) must include one of at most 9"):
        TextCNN(TextSpec(30, 9, train_size=0), (10, 12), (3, 4))


def test_filters_must_match_widths():
    with pytest.raises(UserError, match=r"filters \(=\(3,\)\) must be as many as widths"):
        TextCNN(TEXT, (1, 2), (3,))
