"""What `healtheat review` refuses before it opens an index or listens."""

import socket
from pathlib import Path

import pytest

from healtheat.cli import run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["review", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize("name", ["", " ", "\u3000", "a" * 201, "two\nlines", "\x1b[2J"])
def test_a_name_that_nobody_has(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--name" in refused(capsys, "--name", name)


@pytest.mark.parametrize("host", ["nonsense.invalid", "203.0.113.7", "a" * 300, "::nonsense"])
def test_a_host_that_is_not_this_machine(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, "--host", host)
    assert "no address of this machine" in message
    assert "another review" not in message


def test_a_port_that_is_taken(in_built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        message = refused(capsys, "--port", str(other.getsockname()[1]))
    assert "another review may be running" in message
