# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A language model behind any OpenAI-compatible endpoint (POST /chat/completions)."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from mem4nav.backbones.llm import Completion
from mem4nav.backbones.words import plain
from mem4nav.errors import EndpointError

logger = logging.getLogger(__name__)

LONGEST_ANSWER_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Where the endpoint is, and how much patience it gets.

    Attributes:
        base_url: "https://host/v1": what stands before /chat/completions.
        model: its name there.
        key_variable: environment variable that holds the key; unset: none is sent, as for a server on this machine.
        answer_tokens: at most as many tokens are answered; models that think aloud need more.
        timeout_s: for one whole answer.
        attempts: before the endpoint is given up.
        backoff_s: wait after the first fault; twice as long after each further one.
        longest_wait_s: no wait is longer; where the endpoint asks for more, it is given up.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    answer_tokens: int = 16
    timeout_s: float = 30.0
    attempts: int = 4
    backoff_s: float = 1.0
    longest_wait_s: float = 30.0


class _FaultError(Exception):
    """Something that may be gone at the next attempt."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Endpoint:
    """Asks an endpoint, with bounded patience.

    Raises:
        EndpointError: where the address is none, or httpx is missing.
    """

    def __init__(self, config: EndpointConfig) -> None:
        if not config.base_url.startswith(("http://", "https://")):
            raise EndpointError(f"an endpoint's address begins with http:// or https://, not {config.base_url!r}")
        try:
            import httpx
        except ImportError as error:
            raise EndpointError("endpoints need httpx: pip install 'mem4nav[nav]'") from error
        self._config = config
        self._url = config.base_url.rstrip("/") + "/chat/completions"
        self._faults = httpx.HTTPError
        try:
            self._url = str(httpx.URL(self._url))
        except httpx.InvalidURL as error:
            raise EndpointError(f"{config.base_url!r} is no address: {error}") from error
        self._client = httpx.Client(timeout=config.timeout_s, follow_redirects=False)

    def complete(self, prompt: str, choices: Sequence[str]) -> Completion:
        """The answer's text. ``choices`` stand in the prompt already.

        Raises:
            EndpointError: after the last attempt, or where the endpoint refuses.
        """
        started = time.monotonic()
        wait_s, fault = self._config.backoff_s, ""
        for attempt in range(self._config.attempts):
            if attempt:
                time.sleep(min(wait_s, self._config.longest_wait_s))
                wait_s *= 2.0
            try:
                return Completion(self._ask(prompt))
            except _FaultError as error:
                fault = str(error)
                wait_s = max(wait_s, self._allowed(error.wait_s or 0.0))
                logger.info("%s: %s", self._url, fault)
            except self._faults as error:
                fault = f"{type(error).__name__} {error}".strip()
                logger.info("%s: %s", self._url, fault)
        raise EndpointError(
            f"{self._url} gave no answer in {self._config.attempts} attempts and {time.monotonic() - started:.1f} s "
            f"(last: {fault}): is a server running there?"
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, prompt: str) -> str:
        key = os.environ.get(self._config.key_variable, "")
        asked = {
            "model": self._config.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": self._config.answer_tokens,
        }
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self._client.stream("POST", self._url, json=asked, headers=headers) as response:
            body = self._read(response.iter_bytes())
        if response.status_code == 429 or response.status_code >= 500:
            raise _FaultError(f"status {response.status_code}", _retry_after_s(response.headers.get("Retry-After", "")))
        if response.status_code != 200:
            said = plain(body.decode("utf-8", "replace"), 200)
            hint = f": is {self._config.key_variable} set right?" if response.status_code in (401, 403) else ""
            raise EndpointError(f"{self._url} refuses with status {response.status_code}: {said}{hint}")
        return _text(body)

    def _read(self, chunks: Iterable[bytes]) -> bytes:
        body, until = b"", time.monotonic() + self._config.timeout_s
        for chunk in chunks:
            body += chunk
            if len(body) > LONGEST_ANSWER_BYTES:
                raise _FaultError(f"an answer of more than {LONGEST_ANSWER_BYTES} bytes")
            if time.monotonic() > until:
                raise _FaultError(f"the answer was not whole after {self._config.timeout_s:g} s")
        return body

    def _allowed(self, wait_s: float) -> float:
        if wait_s > self._config.longest_wait_s:
            raise EndpointError(
                f"{self._url} asks to wait {wait_s:.0f} s, at most {self._config.longest_wait_s:g} s are waited: "
                "its rate limit is used up"
            )
        return wait_s


def _retry_after_s(header: str) -> float | None:
    """Seconds until the time that a Retry-After header names, as a number or as a date (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None


def _text(body: bytes) -> str:
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _FaultError(f"an answer of {len(body)} bytes that is no chat completion") from error
    if not isinstance(text, str):
        raise _FaultError("an answer without text")
    return text
