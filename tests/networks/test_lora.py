from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.small_stories import contexts, endings
from tests.transformers_models import model_folder
from textgan.data.spec import StorySpec
from textgan.errors import UserError
from textgan.networks.pretrained import PretrainedGenerator

SPEC = StorySpec(vocab_size=307, length=5, train_size=10, sentences=1, sentence_length=6)


@pytest.fixture(params=["llama", "t5"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model", request.param)


def shaken(network: PretrainedGenerator) -> PretrainedGenerator:
    """With adapters that do something."""
    with torch.no_grad():
        for parameter in network.learned():
            parameter.normal_(std=0.3)
    return network.eval()


def log_probs(network: PretrainedGenerator) -> torch.Tensor:
    return network.given(contexts(3, spec=SPEC)).log_probs(endings(6, spec=SPEC))


def test_in_the_beginning_it_is_the_model_and_then_only_adapters_learn(folder: Path) -> None:
    plain, network = PretrainedGenerator(SPEC, folder).eval(), PretrainedGenerator(SPEC, folder, lora=4).eval()
    torch.testing.assert_close(log_probs(network), log_probs(plain), rtol=0, atol=1e-5)
    learned = {id(parameter) for parameter in network.learned()}
    names = [name for name, parameter in network.named_parameters() if id(parameter) in learned]
    assert all(".lora_" in name for name in names)
    matrices = [name for name, p in plain.named_parameters() if p.dim() == 2 and "shared" not in name]
    adapted = [name for name in matrices if not any(part in name for part in ("embed", "lm_head", "bias"))]
    assert len(names) == 2 * len(adapted)
    assert not torch.allclose(log_probs(shaken(network)), log_probs(plain), atol=1e-2)


def test_a_weight_is_changed_by_twice_the_product_of_its_adapters(folder: Path) -> None:
    network = shaken(PretrainedGenerator(SPEC, folder, lora=3))
    state = network.state_dict()
    merged = {name: tensor.clone() for name, tensor in network.plain_model().state_dict().items()}
    stored = load_file(folder / "model.safetensors")
    for name in [name for name in state if "lora_A" in name]:
        weight = name.split("base_model.model.")[1].split(".lora_A")[0] + ".weight"
        expected = stored[weight] + 2 * state[name.replace("lora_A", "lora_B")] @ state[name]
        torch.testing.assert_close(merged[weight], expected, rtol=1e-4, atol=1e-5)


def test_its_state_is_the_adapters_and_the_description_is_the_rest(folder: Path, tmp_path: Path) -> None:
    network = shaken(PretrainedGenerator(SPEC, folder, lora=4))
    network.describe(tmp_path / "run")
    assert (tmp_path / "run" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert all(".lora_" in name for name in state)
    for file in folder.iterdir():
        file.unlink()
    again = PretrainedGenerator(SPEC, tmp_path / "run", lora=4).eval()
    again.load_state_dict(state)
    assert torch.equal(log_probs(again), log_probs(network))
    state.pop(next(iter(state)))
    with pytest.raises(RuntimeError, match="lora"):
        again.load_state_dict(state)


def test_adapters_need_peft_and_a_model_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "peft", None)
        with pytest.raises(
            UserError, match=r"game.lora is 4, which needs the package peft: pip install textgan\[lora\]"
        ):
            PretrainedGenerator(SPEC, folder, lora=4)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"game.lora is 4; generator hf:.* has no weights to adapt"):
        PretrainedGenerator(SPEC, folder, lora=4)
