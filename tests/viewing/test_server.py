"""The page is served to whoever has its token, on this machine, and to nobody else."""

from __future__ import annotations

import doctest
import http.client
import json
import threading
import time
import urllib.request
from importlib import import_module

import pytest

from evenhand import InputError
from evenhand.viewing.server import ViewServer


@pytest.fixture(scope="module")
def server(audited):
    """A server of an audited folder, which has read it."""
    with ViewServer(audited) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        deadline = time.monotonic() + 60
        while serving.watched.report is None:
            assert time.monotonic() < deadline, serving.watched.status
            time.sleep(0.1)
        yield serving
        serving.shutdown()
        thread.join()


def ask(server, path, token=None, host=None, method="GET"):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    token = server.token if token is None else token
    connection.putrequest(method, f"{path}?token={token}" if token else path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_the_printed_address_answers_with_the_page(server):
    with urllib.request.urlopen(server.url, timeout=30) as answer:
        assert answer.status == 200 and b"<iframe" in answer.read()


def test_a_finished_report_is_served_byte_by_byte(server, audited):
    status, headers, body = ask(server, "/report")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert body == (audited / "report.html").read_bytes()


def test_the_status_says_what_is_shown(server, audited):
    status, headers, body = ask(server, "/status")
    said = json.loads(body)
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert said["state"] == "finished" and said["folder"] == str(audited)
    assert said["report"]["preliminary"] is False and said["report"]["version"] == 1


@pytest.mark.parametrize("path", ["/", "/status", "/report", "/elsewhere"])
@pytest.mark.parametrize("token", ["", "wrong", "%C3%A9", "%00"])
def test_nothing_is_served_without_the_token(server, path, token):
    status, _, body = ask(server, path, token=token)
    assert status == 403 and b"Evenhand:" not in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "[::2]:80"])
def test_a_name_that_was_made_to_point_here_is_refused_even_with_the_token(server, host):
    assert ask(server, "/report", host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost:9999", "127.0.0.1", "LOCALHOST", "[::1]:80"])
def test_this_machine_may_be_asked_through_a_forwarded_port(server, host):
    assert ask(server, "/status", host=host)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/design.json", "/report/", "/report.html", "/../design.json", "/%2e%2e/design.json", "/static", "/."],
)
def test_nothing_of_the_folder_is_served_but_the_report(server, path):
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/", method=method)[0] == 501


def test_head_has_the_headers_of_the_page_and_no_body(server):
    status, headers, body = ask(server, "/report", method="HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and body == b""


def test_the_page_may_ask_this_server_only_and_the_report_nobody(server):
    page, report = (ask(server, path)[1] for path in ("/", "/report"))
    assert "connect-src 'self'; frame-src 'self'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]
    assert "connect-src" not in report["Content-Security-Policy"]
    assert report["Content-Security-Policy"].startswith("default-src 'none'")
    assert "sandbox allow-scripts" in report["Content-Security-Policy"]
    assert "allow-same-origin" not in report["Content-Security-Policy"]
    for headers in (page, report):
        assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"


def test_only_this_machine_can_connect(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_in_use_is_one_sentence(server, audited):
    with pytest.raises(InputError, match=rf"--port {server.server_port} is in use; choose another one"):
        ViewServer(audited, port=server.server_port)


def test_tokens_differ_and_cannot_be_guessed(server, audited):
    other = ViewServer(audited)
    other.server_close()
    assert other.token != server.token and len(other.token) >= 40


@pytest.mark.parametrize("module", ["server", "folder_state", "preliminary"])
def test_examples_of_docstrings_give_what_they_say(module):
    result = doctest.testmod(import_module(f"evenhand.viewing.{module}"))
    assert result.attempted and not result.failed
