# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A language model from a local folder of transformers, asked offline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mem4nav.backbones.llm import Completion
from mem4nav.errors import BackboneError

logger = logging.getLogger(__name__)

ANSWER_TOKENS = 12
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class LocalModel:
    """A causal language model on this machine.

    By default each choice is scored by its likelihood after the prompt, so that an answer is always one of them.

    Args:
        folder: weights in safetensors, configuration and tokenizer, as transformers writes them.
        adapter: folder of a LoRA adapter that was trained on it.
        generate: let the model write freely (greedy) instead of scoring the choices.
        device: "cpu", "cuda", "cuda:1"; None: the first GPU where there is one.

    Raises:
        BackboneError: where the folder holds no such model, or transformers (for adapters: peft) is missing.
    """

    def __init__(
        self, folder: Path, adapter: Path | None = None, *, generate: bool = False, device: str | None = None
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer, model = load_language_model(folder)
        if adapter is not None:
            model = _with_adapter(model, adapter)
        self._model = model.to(self._device).eval()
        self._generate = generate

    @torch.inference_mode()
    def complete(self, prompt: str, choices: Sequence[str]) -> Completion:
        """The likeliest of ``choices`` and its probability among them; or, generating, whatever the model writes."""
        if self._generate:
            return Completion(self._write(prompt))
        probabilities = torch.softmax(self.likelihoods(prompt, choices), dim=0)
        best = int(probabilities.argmax())
        return Completion(choices[best], float(probabilities[best]))

    @torch.inference_mode()
    def likelihoods(self, prompt: str, choices: Sequence[str]) -> torch.Tensor:
        """(C,) log-probability of each choice, as a whole line, to follow the prompt; up to a common constant.

        The tokens that all lines share are read once, the rest of each line on top of that.
        """
        lines = [self._tokens(f"{prompt} {choice}\n") for choice in choices]
        shared = min(_shared(lines), min(map(len, lines)) - 1)
        if shared < 1:
            raise BackboneError(
                f"the prompt of {len(prompt)} characters gives {shared} tokens: the tokenizer is broken"
            )
        rests = [line[shared:] for line in lines]
        start = self._model(self._cut(lines[0][:shared], max(map(len, rests))), use_cache=True)
        cache = start.past_key_values
        cache.batch_repeat_interleave(len(choices))
        padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(rest) for rest in rests], batch_first=True)
        padded = padded.to(self._device)
        logits = self._model(padded, past_key_values=cache).logits
        logits = torch.cat([start.logits[:, -1:].expand(len(choices), -1, -1), logits[:, :-1]], dim=1)
        told = torch.log_softmax(logits.float(), dim=-1).gather(2, padded[..., None])[..., 0]
        return torch.stack([row[: len(rest)].sum() for row, rest in zip(told, rests, strict=True)])

    def _write(self, prompt: str) -> str:
        tokens = self._cut(self._tokens(prompt), ANSWER_TOKENS)
        written = self._model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            pad_token_id=self._tokenizer.pad_token_id or 0,
        )
        text = self._tokenizer.decode(written[0, tokens.shape[1] :], skip_special_tokens=True)
        return text.strip().split("\n")[0]

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer(text)["input_ids"]

    def _cut(self, tokens: list[int], more: int) -> torch.Tensor:
        """(1, N) tokens with room for ``more``; what is too long loses its middle, so that task and place both stay."""
        room = context_tokens(self._model.config) - more
        if len(tokens) > room:
            logger.warning("the prompt has %d tokens and the model reads %d: its middle is left out", len(tokens), room)
            tokens = tokens[: room // 2] + tokens[len(tokens) - (room - room // 2) :]
        return torch.tensor([tokens], device=self._device)


def load_language_model(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and causal language model of a local folder; nothing is fetched, unpickled or run from it.

    Raises:
        BackboneError: where the folder holds no such model, or transformers is missing.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise BackboneError(f"{folder} is no folder of a language model: it has no config.json")
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise BackboneError("language models need transformers: pip install 'mem4nav[nav]'") from error
    disable_progress_bar()
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        return tokenizer, AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **safe)
    except UNREADABLE as error:
        raise BackboneError(
            f"{folder} holds no language model that can be read: {str(error).splitlines()[0]}"
        ) from error


def context_tokens(config: Any) -> int:
    """How many tokens a model of this configuration reads at once."""
    return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", 1024))


def _shared(lines: list[list[int]]) -> int:
    """How many first tokens all lines share."""
    return next(
        (n for n, tokens in enumerate(zip(*lines, strict=False)) if len(set(tokens)) > 1), len(min(lines, key=len))
    )


def _with_adapter(model: Any, adapter: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise BackboneError("LoRA adapters need peft: pip install peft") from error
    if not (Path(adapter) / "adapter_model.safetensors").is_file():
        raise BackboneError(f"{adapter} is no LoRA adapter: it has no adapter_model.safetensors")
    try:
        return PeftModel.from_pretrained(model, str(adapter), use_safetensors=True)
    except UNREADABLE as error:
        raise BackboneError(f"the adapter {adapter} does not fit: {str(error).splitlines()[0]}") from error
