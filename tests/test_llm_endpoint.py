# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A language model behind an endpoint, with everything that goes wrong between here and there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("httpx")

from mem4nav.backbones.endpoint import Endpoint, EndpointConfig
from mem4nav.backbones.llm import LanguageAgent
from mem4nav.environment import Action
from mem4nav.errors import EndpointError
from walked_streets import on_street, remembering

CHOICES = [action.value for action in Action]


def says(text: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Server(ThreadingHTTPServer):
    """Gives its answers one after another, and the last for ever; an answer may be a function of the handler."""

    daemon_threads = True

    def __init__(self, answers) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = list(answers), []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        answers = self.server.answers
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if callable(answer):
            answer(self)
            return
        status, headers, text = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(*answers) -> Iterator[Server]:
    server = Server(answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def endpoint_of(server: Server, **settings) -> Endpoint:
    patience = {"timeout_s": 5.0, "attempts": 3, "backoff_s": 0.01, "longest_wait_s": 0.2}
    return Endpoint(EndpointConfig(server.url, "small", **{**patience, **settings}))


def drips(handler: BaseHTTPRequestHandler) -> None:
    """An answer that is always about to come."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        time.sleep(0.05)
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(says("left")[2][:20])
    handler.close_connection = True


def floods(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"[" * 65536)
    except OSError:
        return


def test_an_answer_comes_back_and_the_question_was_a_chat_completion(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    with serving(says("left")) as server:
        assert endpoint_of(server, key_variable="MY_KEY").complete("Where now?", CHOICES).text == "left"
    (path, headers, body) = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body["model"] == "small"
    assert body["messages"] == [{"role": "user", "content": "Where now?"}]


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(says("left")) as server:
        endpoint_of(server).complete("Where now?", CHOICES)
    assert "Authorization" not in server.asked[0][1]


@pytest.mark.parametrize(
    "fault",
    [
        (500, {}, b"oops"), (503, {"Retry-After": "0.05"}, b""), (429, {"Retry-After": "0.05"}, b"{}"),
        (429, {"Retry-After": "soon"}, b""), (429, {}, b""), (200, {}, b'{"choices": [{"mess'), (200, {}, b""),
        (200, {}, b'{"choices": []}'), (200, {}, b"[1]"), (200, {}, b"\xff\xfe"), (200, {}, b"[" * 100_000),
        says(None), says({"x": 1}), hangs_up, breaks_off, floods,
    ],
    ids=lambda fault: fault.__name__ if callable(fault) else f"{fault[0]} {fault[2][:12]!r}",
)  # fmt: skip
def test_a_fault_that_passes_is_waited_out(fault):
    with serving(fault, says("right")) as server:
        assert endpoint_of(server).complete("Where now?", CHOICES).text == "right"
    assert len(server.asked) == 2


def test_the_wait_that_a_rate_limit_asks_for_is_kept():
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2), usegmt=True)
    for header, least in (("0.15", 0.15), (date, 0.5)):
        with serving((429, {"Retry-After": header}, b""), says("left")) as server:
            started = time.monotonic()
            endpoint_of(server, longest_wait_s=3.0).complete("Where now?", CHOICES)
        assert time.monotonic() - started >= least


def test_a_rate_limit_that_asks_for_too_much_is_told_at_once():
    with (
        serving((429, {"Retry-After": "3600"}, b"")) as server,
        pytest.raises(EndpointError, match=r"asks to wait 3600 s, at most 0\.2 s"),
    ):
        endpoint_of(server).complete("Where now?", CHOICES)
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [(500, {}, b""), hangs_up, (200, {}, b"{")], ids=["500", "hangs up", "half JSON"])
def test_a_fault_that_stays_is_one_clear_error_after_the_last_attempt(fault):
    with serving(fault) as server, pytest.raises(EndpointError, match=r"no answer in 3 attempts and .* s \(last: "):
        endpoint_of(server).complete("Where now?", CHOICES)
    assert len(server.asked) == 3


def test_an_answer_that_never_ends_runs_into_the_time_limit():
    with serving(drips) as server, pytest.raises(EndpointError, match=r"not whole after 0\.2 s"):
        endpoint_of(server, timeout_s=0.2, attempts=1).complete("Where now?", CHOICES)


def test_a_silent_server_runs_into_the_time_limit():
    with (
        serving(lambda handler: time.sleep(0.5)) as server,
        pytest.raises(EndpointError, match="ReadTimeout"),
    ):
        endpoint_of(server, timeout_s=0.1, attempts=1).complete("Where now?", CHOICES)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_refusal_is_told_at_once_and_without_the_key(status, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    refusal = (status, {"Location": "http://127.0.0.1:9/"}, b"no\n\x1b[31m model")
    with serving(refusal) as server, pytest.raises(EndpointError, match=f"status {status}: no \\[31m model") as told:
        endpoint_of(server).complete("Where now?", CHOICES)
    assert len(server.asked) == 1
    assert "secret" not in str(told.value)
    assert ("OPENAI_API_KEY" in str(told.value)) == (status in (401, 403))


def test_an_endpoint_that_is_not_there_is_one_clear_error():
    with serving(says("left")) as server:
        url = server.url
    nobody = Endpoint(EndpointConfig(url, "small", attempts=2, backoff_s=0.01))
    with pytest.raises(EndpointError, match=r"no answer in 2 attempts .*ConnectError.*is a server running there\?"):
        nobody.complete("Where now?", CHOICES)


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", "", "http://a:b:c"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(EndpointError, match="address"):
        Endpoint(EndpointConfig(url, "small"))


def test_an_agent_walks_with_an_endpoint_that_stumbles():
    answers = [(500, {}, b""), says("forward"), says("I am a teapot"), says("LEFT!"), (200, {}, b"{"), says("stop")]
    with serving(*answers) as server:
        agent = LanguageAgent(endpoint_of(server), remembering())
        agent.begin("Go left and stop.", on_street(0.0))
        walked = [agent.act(on_street(10.0 * step)).action for step in range(3)]
    assert walked == [Action.FORWARD, Action.LEFT, Action.STOP]
