"""`carsync simulate`: says where it listens, obeys its options, stops on a signal."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest
import requests


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_stops_on_a_signal(
    stop_signal: signal.Signals,
) -> None:
    command = [sys.executable, "-m", "carsync", "simulate", "--cars", "30", "--page-size", "10"]
    with subprocess.Popen(
        [*command, "--warm", "--key", "secret", "--prefix", "/v2", "--rate", "0.5", "--burst", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        variables = dict(pair.split("=", 1) for pair in line.split())
        assert variables.keys() == {"API_BASE_URL", "API_KEY"}
        assert variables["API_BASE_URL"].endswith("/v2")
        url, key = variables["API_BASE_URL"] + "/cars", {"X-API-Key": variables["API_KEY"]}
        answer = requests.get(url, headers=key, timeout=10)
        assert answer.json()["meta"] == {
            "current_page": 1,
            "last_page": 3,
            "per_page": 10,
            "total": 30,
        }
        assert requests.get(url, headers=key, timeout=10).status_code == 429
        process.send_signal(stop_signal)
        rest, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest == ""
    assert "30 cars in 3 pages" in told
    assert "Traceback" not in told


def test_the_options_of_the_command_have_their_effect() -> None:
    options = (
        "--cars 40 --page-size 10 --key '' --no-meta --empty-from 3 --latency 50-60 "
        "--changed 0.5 --added 0.25 --removed 0.1 --seed 9 --snapshot 1"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "carsync", "simulate", *shlex.split(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[0].removeprefix("API_BASE_URL=")
        first = requests.get(f"{base_url}/cars", timeout=10)
        assert len(first.json()["data"]) == 10
        assert first.json().keys() == {"data"}
        assert first.elapsed.total_seconds() >= 0.05
        assert requests.get(f"{base_url}/cars?page=3", timeout=10).json() == {"data": []}
        truth = requests.get(base_url.replace("/api", "/_sim/truth"), timeout=10).json()
        assert (truth["changed"], truth["added"], truth["removed"]) == (20, 10, 4)
        process.terminate()


@pytest.mark.parametrize("latency", ["x", "5-1", "-3", "1-nan"])
def test_a_latency_that_is_no_range_is_a_usage_error(latency: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carsync", "simulate", f"--latency={latency}"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "MIN-MAX" in done.stderr
