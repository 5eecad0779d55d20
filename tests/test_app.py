"""`journeylift app`: says what is missing before it serves, keeps others out, ends when it is told to."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from features.templates import write_templates
from flows import cli
from flows.app import FIRST_PORT, PortTaken, free_port
from flows.quick_page import FIRST_PATH
from tests.benches import write_simulation
from tests.served import ask, first_answer, served, visit


def test_a_port_that_is_taken_is_passed_over_or_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(
            PortTaken, match=rf"Port {port} at 127\.0\.0\.1 cannot be listened at: address already in use"
        ):
            free_port("127.0.0.1", port)
    assert FIRST_PORT <= free_port("127.0.0.1", None) < FIRST_PORT + 50
    with pytest.raises(PortTaken, match="Name one: --port"):
        free_port("203.0.113.7", None)


def test_nothing_simulated_is_exit_6_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_templates(tmp_path)
    assert cli.main(["app", "--study", str(tmp_path / "study.yaml"), "--no-browser"]) == 6
    told = capsys.readouterr().err
    assert "Run: journeylift simulate --study" in told
    assert told.count("\n") == 1


def test_a_missing_study_is_exit_2_and_a_taken_port_exit_64(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_simulation(tmp_path)
    assert cli.main(["app", "--study", str(study), str(tmp_path / "nowhere.yaml"), "--no-browser"]) == 2
    assert "There is no study at" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["app", "--study", str(study), "--port", str(port), "--no-browser"]) == cli.USAGE
    assert "Name another with --port" in capsys.readouterr().err


def test_it_serves_until_it_is_interrupted_and_says_one_line(tmp_path: Path) -> None:
    study = write_simulation(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    home = tmp_path / "home"
    home.mkdir()
    with served(study, home) as server:
        shown, page = visit(server.url)
        assert shown == server.origin, "the token does not stay in the address"
        assert "Plan initiatives" in page
        assert not re.search(r'(?:src|href)="https?://', page), "nothing is loaded from elsewhere"
        server.interrupt()
        assert server.code == 0
        assert server.said.split() == ["The", "planner's", "page", "is", "at", server.url, "Ctrl-C", "ends", "it."]
        assert server.complained == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_it_asks_for_the_token_that_it_printed(host: str, tmp_path: Path) -> None:
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://elsewhere.example",
    }  # fmt: skip
    with served(write_simulation(tmp_path), tmp_path, ["--host", host]) as server:
        assert f'fetch(".{FIRST_PATH}")' in visit(server.url)[1]
        assert ask(f"{server.origin[:-1]}{FIRST_PATH}") == (401, "")
        assert 'wide">€' in first_answer(server)
        for address in (server.origin, f"{server.origin}?access_token=wrong"):
            assert ask(address)[0] in {302, 303, 307, 401, 403}
            shown, page = visit(address)
            assert shown.startswith(f"{server.origin}auth/login")
            assert "Plan initiatives" not in page
        assert ask(f"{server.origin}ws?session_id=s_12345", upgrade)[0] in {401, 403}
        server.interrupt()
        (token,) = re.findall(r"\?access_token=([\w-]+) ", server.said)
        assert len(token) >= 32
        assert token not in " ".join(str(part) for part in server.process.args)
