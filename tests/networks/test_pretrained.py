"""Transformers models as generators of endings: against their own forward pass, without a cache and without padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer as Inner
from tokenizers import models, pre_tokenizers
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from textgan.categorical import draw
from textgan.data.spec import StorySpec
from textgan.data.tokenizer import PretrainedTokenizer
from textgan.errors import UserError
from textgan.networks.endings import EndingPolicy
from textgan.networks.pretrained import PretrainedGenerator, PretrainedState
from textgan.networks.shared_rows import SharedRows
from textgan.policy_gradient import rollout_rewards
from textgan.sampling import sample

SPEC = StorySpec(vocab_size=20, length=5, train_size=10, sentences=3, sentence_length=4)
WIDTH = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40},
    "llama": {**WIDTH, "num_key_value_heads": 2, "max_position_embeddings": 40},
    "opt": {**WIDTH, "ffn_dim": 48, "word_embed_proj_dim": 16, "max_position_embeddings": 40},
    "gpt_neox": {**WIDTH, "max_position_embeddings": 40},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mistral": {**WIDTH, "num_key_value_heads": 2, "max_position_embeddings": 40, "sliding_window": 3},
    "gemma2": {**WIDTH, "num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 0.5, "sliding_window": 3},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    "bart": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 40,
    },
}  # fmt: skip
MODELS = list(CONFIGS)


def config_folder(folder: Path, kind: str, **more: Any) -> Path:
    path = folder / kind
    transformers.AutoConfig.for_model(kind, **{**CONFIGS[kind], **more}).save_pretrained(path)
    return path


@pytest.fixture(params=MODELS)
def generator(request: pytest.FixtureRequest, tmp_path: Path) -> PretrainedGenerator:
    torch.manual_seed(0)
    made = PretrainedGenerator(SPEC, config_folder(tmp_path, request.param)).eval()
    with torch.no_grad():  # first weights are often so small that all logits are nearly alike
        for parameter in made.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(0.2 * noise if parameter.dim() > 1 else parameter + 0.1 * noise)
    return made


def contexts(batch: int = 3, seed: int = 0, spec: StorySpec = SPEC) -> Tensor:
    """Sentences of one to L tokens, one of them empty."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, spec.vocab_size, (batch, spec.sentences, spec.sentence_length), generator=random)
    lengths = torch.randint(1, spec.sentence_length + 1, (batch, spec.sentences, 1), generator=random)
    lengths[0, 1] = 0
    return tokens.masked_fill(torch.arange(spec.sentence_length) >= lengths, spec.pad)


def endings(rows: int, spec: StorySpec = SPEC) -> Tensor:
    tokens = torch.randint(4, spec.vocab_size, (rows, spec.length), generator=torch.Generator().manual_seed(1))
    for row, words in enumerate(tokens):
        end = row % spec.length
        words[end], words[end + 1 :] = spec.eos, spec.pad
    return tokens


def naive_logits(generator: PretrainedGenerator, context: Tensor, before: list[int]) -> Tensor:
    """Of the token after `before`, by the whole model, reading everything again."""
    ids, spec = generator.ids, generator.spec
    begin = [ids.end if ids.begin is None else ids.begin]
    words, written = (
        generator.model_ids[x].tolist() for x in (context[context != spec.pad], torch.tensor(before).long())
    )
    if generator.has_encoder:
        prompt = torch.tensor([[*(begin if ids.begin is not None else []), *words, ids.end]])
        start = begin if ids.start is None else [ids.start]
        logits = generator.model(input_ids=prompt, decoder_input_ids=torch.tensor([[*start, *written]])).logits
    else:
        logits = generator.model(input_ids=torch.tensor([[*begin, *words, *written]])).logits
    found = logits[0, -1][generator.model_ids].clone()
    found[generator.never == -torch.inf] = -torch.inf
    return found


def test_it_is_the_models_own_distribution(generator: PretrainedGenerator) -> None:
    context, tokens = contexts(), endings(6)
    policy = generator.given(context)
    assert isinstance(policy, EndingPolicy)
    log_probs = policy.log_probs(tokens, temperature=0.7)
    for row, words in enumerate(tokens.tolist()):
        for t, token in enumerate(words):
            expected = 0.0
            if token != SPEC.pad:
                logits = naive_logits(generator, context[row // 2], words[:t]) / 0.7
                expected = logits.log_softmax(0)[token].item()
            assert log_probs[row, t].item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_reading_step_by_step_is_reading_at_once(generator: PretrainedGenerator) -> None:
    policy, tokens = generator.given(contexts()), endings(6)
    state, steps = policy.start(6), []
    outputs = policy.outputs(tokens)
    assert outputs.shape == (6, SPEC.length, generator.hidden_size)
    for t, token in enumerate(tokens.unbind(1)):
        written = tokens[:, t] != SPEC.pad
        torch.testing.assert_close(state.output[written], outputs[written, t], rtol=1e-5, atol=1e-5)
        logits = policy.logits(state)
        assert (logits[:, [SPEC.pad, SPEC.bos]] == -torch.inf).all()
        steps.append(logits.log_softmax(1).gather(1, token[:, None]).squeeze(1))
        state = policy.advance(token, state)
    expected = torch.stack(steps, 1).masked_fill(tokens == SPEC.pad, 0)
    torch.testing.assert_close(policy.log_probs(tokens), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_context_alone_is_as_in_a_padded_batch(generator: PretrainedGenerator) -> None:
    context, tokens = contexts(), endings(3)
    together = generator.given(context).log_probs(tokens)
    for row in range(3):
        alone = generator.given(context[row : row + 1]).log_probs(tokens[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("largest_table", [0, 2**27])  # with and without forks of what an ending has said so far
def test_forked_rows_go_on_as_if_everything_were_read_again(
    generator: PretrainedGenerator, largest_table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgan.networks.key_cache.LARGEST_TABLE", largest_table)
    context, tokens, rollouts = contexts(), endings(6).flip(0), 2
    uniforms = torch.rand(SPEC.length - 1, rollouts, 6, SPEC.length, generator=torch.Generator().manual_seed(2))
    seen: dict[tuple[int, ...], int] = {}

    def reward(sentences: Tensor, origins: Tensor) -> Tensor:
        for sentence, origin in zip(sentences.tolist(), origins.tolist(), strict=True):
            seen[(origin, *sentence)] = seen.get((origin, *sentence), 0) + 1
        return sentences.double().square().sum(1).sqrt().float()

    rewards = rollout_rewards(generator.given(context), SPEC, tokens, reward, rollouts, uniforms=uniforms)
    found, seen = seen, {}
    expected = torch.zeros(6, SPEC.length)
    for row, words in enumerate(tokens.tolist()):
        length = sum(token != SPEC.pad for token in words)
        for t in range(1, length + 1):
            values = []
            for n in range(rollouts if t < length else 1):
                sentence = words[:t]
                while len(sentence) < SPEC.length and sentence[-1] != SPEC.eos:
                    logits = naive_logits(generator, context[row // 2], sentence)
                    uniform = uniforms[t - 1, n, row, len(sentence)][None]
                    sentence.append(int(draw(logits[None], uniforms=uniform)))
                sentence += [SPEC.pad] * (SPEC.length - len(sentence))
                values.append(reward(torch.tensor([sentence]), torch.tensor([row])))
            expected[row, t - 1] = torch.cat(values).mean()
    assert found == seen
    torch.testing.assert_close(rewards, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_row_keeps_its_own_tokens_and_not_the_context(generator: PretrainedGenerator) -> None:
    sizes = []
    for context in (contexts(), contexts()[:, :1]):
        policy = generator.given(context)
        state = policy.advance(torch.full((6,), 5), policy.start(6))
        assert all(len(leaf) == 6 for leaf in tree_leaves(state))
        assert all(cache.tokens == 1 for cache in state.kept)
        sizes.append([cache.keys.shape for cache in state.kept])
    assert sizes[0] == sizes[1]


COPYING = {"bloom", "gemma2"}
"""Models that compute attention themselves."""


@torch.no_grad()
def test_rows_attend_to_their_context_without_copies_of_it(
    generator: PretrainedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert generator.copies_contexts == (generator.model.config.model_type in COPYING)
    context, rows, tokens = contexts(), torch.tensor([5, 0, 3, 1, 0]), torch.tensor([7, 9, 4, 15, 8])
    policy = generator.given(context)

    def found() -> Tensor:
        state = policy.advance(torch.arange(6) + 6, policy.start(6))
        forked = tree_map(lambda x: x[rows], state)
        return policy.advance(tokens, policy.advance(tokens, forked)).output

    ours = found()
    monkeypatch.setattr("textgan.networks.shared_cache.SharedRows", lambda *parts: SharedRows(*parts).whole())
    torch.testing.assert_close(ours, found(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_where_rows_have_copies_many_are_worked_off_in_parts(
    generator: PretrainedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, tokens = generator.given(contexts()), torch.arange(600) % 16 + 4

    def found() -> PretrainedState:
        return policy.advance(tokens.flip(0), policy.advance(tokens, policy.start(600)))

    whole = found()
    generator.copies_contexts = True
    monkeypatch.setattr("textgan.networks.pretrained.KEYS_AT_ONCE", 1)
    parts = found()
    assert torch.equal(parts.owners.of, whole.owners.of)
    torch.testing.assert_close(parts.output, whole.output, rtol=1e-5, atol=1e-5)
    for a, b in zip(parts.kept, whole.kept, strict=True):
        torch.testing.assert_close((a.keys, a.values), (b.keys, b.values), rtol=1e-5, atol=1e-5)


def test_gradients_reach_every_parameter_and_are_those_of_a_pass_without_a_cache(
    generator: PretrainedGenerator,
) -> None:
    context, tokens = contexts(), endings(3)
    with torch.no_grad():
        policy = generator.given(context)
        policy.log_probs(tokens)  # what was read without gradients is not used for them
    policy.log_probs(tokens).sum().backward()
    found = {name: parameter.grad for name, parameter in generator.named_parameters()}
    assert [name for name, grad in found.items() if grad is None or not grad.any()] == []
    generator.zero_grad()
    for row, words in enumerate(tokens.tolist()):
        for t in range(words.index(SPEC.eos) + 1):
            naive_logits(generator, context[row], words[:t]).log_softmax(0)[words[t]].backward()
    for name, parameter in generator.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_a_state_dict_and_the_description_are_the_whole_generator(
    generator: PretrainedGenerator, tmp_path: Path
) -> None:
    generator.describe(tmp_path / "run")
    again = PretrainedGenerator(SPEC, tmp_path / "run").eval()
    again.load_state_dict({name: tensor.clone() for name, tensor in generator.state_dict().items()})
    context, tokens = contexts(), endings(3)
    assert torch.equal(again.given(context).log_probs(tokens), generator.given(context).log_probs(tokens))
    assert torch.equal(again.given(context).log_probs(tokens), again.given(context).log_probs(tokens))


@pytest.mark.parametrize("kind", ["llama", "bart"])
def test_attention_may_be_written_out(kind: str, tmp_path: Path) -> None:
    generator = PretrainedGenerator(SPEC, config_folder(tmp_path, kind)).eval()
    context, tokens = contexts(), endings(3)
    expected = generator.given(context).log_probs(tokens)
    generator.model.set_attn_implementation("eager")
    torch.testing.assert_close(generator.given(context).log_probs(tokens), expected, rtol=0, atol=1e-5)


VOCABULARY = ["<unk>", "<s>", "</s>", "<extra>", *"abcdefghij"]


def weights_folder(folder: Path, kind: str, **more: Any) -> Path:
    """A model with weights and a tokenizer of 14 words, in a vocabulary of 16."""
    path = config_folder(
        folder, kind, vocab_size=16, bos_token_id=1, eos_token_id=2, pad_token_id=2, decoder_start_token_id=1, **more
    )
    config = transformers.AutoConfig.from_pretrained(path)
    seq2seq = transformers.AutoModelForSeq2SeqLM
    (seq2seq if config.is_encoder_decoder else transformers.AutoModelForCausalLM).from_config(config).save_pretrained(
        path
    )
    inner = Inner(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        additional_special_tokens=["<extra>"],
    ).save_pretrained(path)  # fmt: skip
    return path


OWN = StorySpec(vocab_size=18, length=5, train_size=10, sentences=3, sentence_length=4)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "bart"])
def test_weights_come_with_their_own_ids(kind: str, tmp_path: Path) -> None:
    folder = weights_folder(tmp_path, kind)
    generator = PretrainedGenerator(OWN, folder)
    assert generator.training
    generator.eval()
    assert generator.ids.end == 2
    assert generator.model_ids.tolist() == [2, 2, 2, 0, *range(14)]
    # padding, begin mark, and the model's unknown, begin, end and extra token, of which ours stand for two
    assert (generator.never == -torch.inf).nonzero().squeeze(1).tolist() == [0, 1, 4, 5, 6, 7]
    context = contexts(spec=OWN)
    tokens = endings(3, OWN).masked_fill_(endings(3, OWN).ge(4) & endings(3, OWN).lt(8), 9)
    expected = [
        [
            naive_logits(generator, context[row], words[:t]).log_softmax(0)[words[t]].item() if words[t] else 0.0
            for t in range(5)
        ]
        for row, words in enumerate(tokens.tolist())
    ]
    found = generator.given(context).log_probs(tokens)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)
    drawn = sample(generator.given(context), OWN, 300)
    assert set(drawn.unique().tolist()) <= {0, 2, 3, *range(8, 18)}

    generator.describe(tmp_path / "run")
    for file in folder.iterdir():
        file.unlink()
    again = PretrainedGenerator(OWN, tmp_path / "run").eval()
    again.load_state_dict(generator.state_dict())
    assert torch.equal(again.given(context).log_probs(tokens), found)


def test_the_weights_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = weights_folder(tmp_path, "gpt2")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for name, tensor in PretrainedGenerator(OWN, folder).model.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name])


def test_another_vocabulary_is_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = weights_folder(tmp_path, "gpt2")
    assert PretrainedTokenizer.of_folder(folder).size == OWN.vocab_size
    with pytest.raises(
        UserError, match=rf"has 18 tokens with our 4 marks, the data 20: .* --data.tokenizer hf:{folder}"
    ):
        PretrainedGenerator(SPEC, folder)
    PretrainedGenerator(OWN, folder).describe(tmp_path / "run")
    with pytest.raises(UserError, match="has 16 tokens, the data 26 without marks"):
        PretrainedGenerator(StorySpec(vocab_size=30, length=5, train_size=1), tmp_path / "run")


def test_what_is_no_generator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no config.json; the folder of a model"):
        PretrainedGenerator(SPEC, tmp_path / "nothing")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be used"):
        PretrainedGenerator(SPEC, broken)
    with pytest.raises(UserError, match="reads at most 10 tokens, where stories may need 17: choose a smaller"):
        PretrainedGenerator(SPEC, config_folder(tmp_path, "gpt2", n_positions=10))
    pickled = config_folder(tmp_path, "llama")
    (pickled / "pytorch_model.bin").touch()
    with pytest.raises(UserError, match=r"pytorch_model.bin: weights in model.safetensors are accepted"):
        PretrainedGenerator(SPEC, pickled)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("bert", {**WIDTH, "max_position_embeddings": 40}),
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
        ("vit", {}),
    ],
)
def test_models_of_another_kind_are_refused(kind: str, sizes: dict[str, Any], tmp_path: Path) -> None:
    transformers.AutoConfig.for_model(kind, **sizes).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"left to right|cannot go on|cannot be used"):
        PretrainedGenerator(SPEC, tmp_path)


def test_weights_that_lack_something_are_refused(tmp_path: Path) -> None:
    folder = weights_folder(tmp_path, "llama", tie_word_embeddings=False)
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.LlamaModel(config).save_pretrained(folder)
    with pytest.raises(UserError, match=r"its weights lack lm_head.weight"):
        PretrainedGenerator(OWN, folder)
