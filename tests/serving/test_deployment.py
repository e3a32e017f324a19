"""What runs the server elsewhere: parsed, and its commands tried, as it can't all be built here."""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="needs pyyaml")

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def docker_environment() -> dict[str, str]:
    words = [word for name, rest in instructions() if name == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def options() -> set[str]:
    """Every variable that `refeed serve` knows."""
    text = subprocess.run(
        [sys.executable, "-m", "refeed", "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    return set(re.findall(r"REFEED_[A-Z_]+", text))


def test_the_image_runs_as_nobody_in_particular_with_a_processors_torch() -> None:
    found = instructions()
    assert next(name for name, _ in found) == "FROM"
    assert ("USER", "refeed") in found
    assert found.index(("USER", "refeed")) < [name for name, _ in found].index("ENTRYPOINT")
    assert any("whl/cpu torch" in rest for name, rest in found if name == "RUN")
    copied = [rest.split()[:-1] for name, rest in found if name == "COPY" and not rest.startswith("--from")]
    assert all((DEPLOY.parent / path).exists() for paths in copied for path in paths)
    for name, rest in found:
        if name in {"CMD", "ENTRYPOINT"}:
            json.loads(rest)
    assert set(docker_environment()) - {"PATH", "PYTHONUNBUFFERED"} <= options()


def test_what_the_image_installs_is_what_the_server_needs_but_pytorch() -> None:
    listed = subprocess.run(
        [sys.executable, DEPLOY / "requirements.py", DEPLOY.parent / "pyproject.toml"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    named = {re.split(r"[<>=\[]", line)[0] for line in listed}
    assert {"numpy", "duckdb", "pydantic", "fastapi", "sqlalchemy", "uvicorn"} <= named
    assert "torch" not in named


def test_compose_names_what_there_is() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    server, database = compose["services"]["refeed"], compose["services"]["database"]
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    assert set(server["environment"]) <= options()
    assert set(server["depends_on"]) <= set(compose["services"])
    assert set(server["secrets"]) <= set(compose["secrets"])
    assert database["image"].startswith("postgres:")
    assert {volume.partition(":")[0] for volume in database["volumes"]} <= set(compose["volumes"])
    assert docker_environment()["REFEED_TOKENS"] == "/run/secrets/tokens"  # where compose puts it


def test_the_unit_has_what_systemd_wants() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "refeed.service")
    assert set(unit) - {"DEFAULT"} == {"Unit", "Service", "Install"}
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["StateDirectory"] == "refeed"
    assert shlex.split(unit["Service"]["ExecStart"])[1:] == ["serve"]
    lines = (DEPLOY / "refeed.service").read_text(encoding="utf-8").splitlines()
    variables = [
        line.partition("=")[2].partition("=")[0] for line in lines if line.startswith("Environment=")
    ]
    assert variables
    assert set(variables) <= options()


def test_the_images_command_serves_with_the_images_variables(run: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("write a-token-of-the-tests\n", encoding="utf-8")
    environment = {
        **os.environ,
        **{name: value for name, value in docker_environment().items() if name.startswith("REFEED_")},
        "REFEED_RUN": str(run),
        "REFEED_DATABASE": str(tmp_path / "r.sqlite"),
        "REFEED_TOKENS": str(tokens),
        "REFEED_PORT": "0",
    }
    found = dict(instructions())
    command = [sys.executable, "-m", *json.loads(found["ENTRYPOINT"]), *json.loads(found["CMD"])]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = server.stderr.readline().strip().replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/health/ready", timeout=120) as answer:
            assert answer.status == 200
    finally:
        server.kill()
        server.communicate()
