"""The transformer against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.policies import ENDING
from textgan.data.spec import NONE, TextSpec
from textgan.networks.transformer import Block, TransformerDiscriminator, TransformerGenerator

SIZE, HEADS = 8, 2
TEXT = TextSpec(30, 9, train_size=0)
ORACLE = TextSpec(30, 9, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


def of_torch(block: Block) -> nn.TransformerEncoderLayer:
    """torch's layer with the weights of ours, whose keys have no bias."""
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 4 * SIZE, 0.0, "gelu", batch_first=True, norm_first=True).double()
    first, second = block.feed_forward[0], block.feed_forward[2]
    with torch.no_grad():
        no_bias = torch.zeros(SIZE, dtype=torch.float64)
        weights = [block.queries.weight, block.keys.weight, block.values.weight]
        layer.self_attn.in_proj_weight.copy_(torch.cat(weights))
        layer.self_attn.in_proj_bias.copy_(torch.cat([block.queries.bias, no_bias, block.values.bias]))
    pairs = [
        (layer.self_attn.out_proj, block.joined),
        (layer.linear1, first),
        (layer.linear2, second),
        (layer.norm1, block.attention_norm),
        (layer.norm2, block.forward_norm),
    ]
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    return layer


def shaken(network: nn.Module) -> nn.Module:
    """In float64, with weights that are not those it began with."""
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def run_of_torch(network: nn.Module, inputs: Tensor, **masks: Tensor) -> Tensor:
    x = inputs + network.positions[: inputs.shape[1]]
    for block in network.blocks:
        x = of_torch(block)(x, **masks)
    return network.norm(x)


def batch(spec: TextSpec) -> Tensor:
    torch.manual_seed(1)
    tokens = torch.randint(4, 30, (20, 9))
    if spec.pad != NONE:
        for row in range(20):
            tokens[row, 1 + row % 9 :] = spec.pad
    return tokens


def test_the_generator_is_torchs_layers_under_a_causal_mask():
    torch.manual_seed(0)
    network = shaken(TransformerGenerator(TEXT, SIZE, layers=2, heads=HEADS))
    inputs = torch.randn(4, 7, SIZE, dtype=torch.float64)
    causal = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    torch.testing.assert_close(network.outputs_embedded(inputs), run_of_torch(network, inputs, src_mask=causal))


@pytest.mark.parametrize("spec", [TEXT, ORACLE], ids=["text", "oracle"])
def test_the_discriminators_features_are_the_mean_of_torchs_layers_over_the_words(spec):
    torch.manual_seed(0)
    network, tokens = shaken(TransformerDiscriminator(spec, SIZE, layers=2, heads=HEADS)), batch(spec)
    inside = tokens != spec.pad
    outputs = run_of_torch(network, network.embedding(tokens), src_key_padding_mask=~inside)
    expected = torch.stack([row[words].mean(0) for row, words in zip(outputs, inside, strict=True)])
    torch.testing.assert_close(network.features(tokens), expected)
    torch.testing.assert_close(network(tokens), network.output(expected).squeeze(1))


def test_a_finished_sentence_may_be_read_past_its_end():
    network = TransformerGenerator(ENDING, SIZE, layers=1, heads=HEADS)
    state = network.start(2)
    for _ in range(ENDING.length + 2):
        state = network.advance(torch.tensor([3, 4]), state)
    assert network.logits(state)[:, 2:].isfinite().all()


def test_positions_matter():
    torch.manual_seed(0)
    network = shaken(TransformerDiscriminator(TEXT, SIZE, layers=1, heads=HEADS))
    there, back = torch.tensor([[4, 5, 6, 2]]), torch.tensor([[6, 5, 4, 2]])
    assert not torch.allclose(network(there), network(back))
