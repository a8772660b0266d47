"""Low-rank adapters for `transformers` models, through the package peft (Hu et al., 2021; arXiv 2106.09685).

Every linear layer but the output's computes W x + (2) B A x, where A and B of the given rank are learned, W is not, and
B is 0 in the beginning.
"""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from textgan.errors import UserError

SCALE = 2
"""What B A x is multiplied by: peft's ``lora_alpha / r``."""


def with_adapters(model: Any, rank: int) -> Any:
    """The model in the frame that peft puts around it. Raises UserError where peft is not installed."""
    try:
        from peft import LoraConfig, get_peft_model  # takes seconds
    except ImportError as error:
        raise UserError(f"game.lora is {rank}, which needs the package peft: pip install textgan[lora]") from error
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules="all-linear", task_type=task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers to peft, about names
        return get_peft_model(model, config)


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return ".lora_" in name


def keep_adapters_only(network: nn.Module) -> None:
    """The network's state_dict holds its adapters, not what they adapt; when it is loaded nothing else is missed."""

    def forget(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
        for name in [name for name in state if name.startswith(prefix) and not is_adapter(name)]:
            del state[name]

    base = tuple(name for name in network.state_dict() if not is_adapter(name))

    def forgive(module: nn.Module, keys: Any) -> None:
        keys.missing_keys[:] = [name for name in keys.missing_keys if not name.endswith(base)]

    network.register_state_dict_post_hook(forget)
    network.register_load_state_dict_post_hook(forgive)
