# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the replica calls a container engine: what podman and docker are told, and what they get of the caller's environment."""

from __future__ import annotations

import ipaddress
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT))

from tests.replica import cli, lifecycle  # noqa: E402 - found through the line above
from tests.replica.cache import Cache  # noqa: E402
from tests.replica.containers import engine, hosts, image  # noqa: E402
from tests.replica.paths import Paths  # noqa: E402
from tests.replica.runtime import Runtime  # noqa: E402
from tests.replica.system import ReplicaError, Result  # noqa: E402

NET = ipaddress.ip_network


@pytest.fixture
def docker(monkeypatch):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", "docker")


@pytest.fixture
def podman(monkeypatch):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", "podman")


@pytest.fixture
def called(monkeypatch):
    """Return what the engine is told, and the environment it has, in place of calling it."""
    calls = []

    def run(argv, *, env, **_options):
        calls.append((list(argv), env))
        return Result(0, "running", "")

    monkeypatch.setattr(engine, "run", run)
    return calls


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_both_engines_need_root(monkeypatch, called, name):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", name)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(engine, "is_root", lambda: False)
    assert engine.missing().startswith(f"{name} needs root here")
    assert called == []
    monkeypatch.setattr(engine, "is_root", lambda: True)
    assert engine.missing() == ""
    assert called[0][0][1:] == ["info"]


# --- the network


def test_docker_gives_chosen_addresses_only_in_a_network_with_a_subnet(docker, monkeypatch):
    monkeypatch.setattr(engine, "_routed", list)
    (option,) = engine.network_options("tank-box")
    assert option.startswith("--subnet=10.201.")
    assert engine.network_options("tank-box") == [option]
    assert engine.network_options("tank-other") != [option]


def test_podman_finds_a_subnet_by_itself(podman):
    assert engine.network_options("tank-box") == []


def test_a_subnet_that_is_in_use_is_passed_over():
    first = engine.free_subnet("tank-box", [])
    assert first.prefixlen == 24
    second = engine.free_subnet("tank-box", [NET("192.0.2.0/24"), first])
    assert not second.overlaps(first)
    assert engine.free_subnet("tank-box", [NET(f"{first.network_address + 64}/26")]) == second
    with pytest.raises(ReplicaError, match="no network of 256 addresses is free"):
        engine.free_subnet("tank-box", [NET("10.0.0.0/8")])


def test_the_routes_of_the_machine_say_what_is_in_use(monkeypatch, tmp_path):
    # As the kernel writes them on a little-endian machine: a default route, a bridge, a host of its own.
    lines = [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
        "br-1\t0007C90A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        "tun0\t05C8C90A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
    ]
    (tmp_path / "route").write_text("\n".join(lines) + "\n", encoding="ascii")
    monkeypatch.setattr(engine, "_ROUTES", tmp_path / "route")
    monkeypatch.setattr("sys.byteorder", "little")
    assert engine._routed() == [NET("10.201.7.0/24"), NET("10.201.200.5/32")]


# --- removal


@pytest.mark.parametrize(("name", "begin"), [("podman", ["rm", "--force", "-t", "0"]), ("docker", ["rm", "--force"])])
def test_docker_is_given_no_option_of_podman_alone(monkeypatch, called, tmp_path, name, begin):
    monkeypatch.setenv("TANK_CONTAINER_ENGINE", name)
    monkeypatch.setattr("os.path.ismount", lambda _path: False)
    monkeypatch.setattr(hosts.Nas, "remove", lambda _self: None)
    hosts.Hosts(Paths(tmp_path, "box")).remove()
    removed = [argv[1:] for argv, _env in called if argv[1] == "rm"]
    assert removed == [[*begin, *(f"tank-box-{host}" for host in hosts.HOSTS)]]


# --- the environment


def test_proxies_reach_the_engine_and_nothing_else_does(podman, called, monkeypatch):
    proxies = {"https_proxy": "http://proxy.example.com:3128", "HTTPS_PROXY": "http://proxy.example.com:3128", "no_proxy": "127.0.0.1"}
    for name, value in {**proxies, "PLANTED_TOKEN": "planted"}.items():
        monkeypatch.setenv(name, value)
    assert engine.call("pull", "x").rc == 0
    (_argv, environment) = called[0]
    assert {name: environment.get(name) for name in proxies} == proxies
    assert "PLANTED_TOKEN" not in environment


# --- what all instances share


@pytest.fixture
def images(monkeypatch):
    """Return the names of an engine's images, which its `rmi` takes away one by one."""
    there = [
        "docker.io/library/debian:bookworm",
        "localhost/tank-replica-base:bookworm",
        "localhost/tank-replica-host:0123456789ab",
        "localhost/tank-replica-host:<none>",
        "localhost/tank-replica-hostess:1",
        "<none>:<none>",
    ]

    def call(*arguments, **_options):
        if arguments[0] == "images":
            return Result(0, "\n".join(there) + "\n", "")
        assert arguments[0] == "rmi", arguments
        there.remove(arguments[1])
        return Result(0, "", "")

    monkeypatch.setattr(engine, "call", call)
    monkeypatch.setattr(engine, "missing", lambda: "")
    return there


def test_an_image_that_two_want_at_once_is_built_once(monkeypatch, tmp_path):
    """The second waits for the first to end, and then uses what that one built."""
    built, building, waits, may_end = [], threading.Event(), threading.Event(), threading.Event()

    def build(name, *_arguments):
        building.set()
        assert may_end.wait(30)
        built.append(name)

    monkeypatch.setattr(engine, "call", lambda *arguments, **_options: Result(0 if arguments[2] in built else 1, "", ""))
    monkeypatch.setattr(image, "_version", lambda *_arguments: "0123456789ab")
    monkeypatch.setattr(image, "_base", lambda: "debian")
    monkeypatch.setattr(image, "_build", build)
    monkeypatch.setattr(image, "_forget_others", lambda _name: None)
    monkeypatch.setattr(lifecycle, "progress", lambda text: waits.set() if text.startswith("waiting") else None)
    runtime = Runtime(tmp_path / "cache/code-1", tmp_path / "cache/python-1")
    cache = Cache(tmp_path / "cache/packages-1", tmp_path / "cache/build-1", runtime)
    with ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(image.ensure, cache, None)
            assert building.wait(30)
            second = pool.submit(image.ensure, cache, None)
            assert waits.wait(30), "two builds at the same time"
        finally:
            may_end.set()
        names = [first.result(30), second.result(30)]
    assert built == names[:1] == names[1:]


def test_own_images_go_and_those_of_others_stay(images):
    assert image.remove_own() == ["localhost/tank-replica-host:0123456789ab", "localhost/tank-replica-base:bookworm"]
    assert images == [
        "docker.io/library/debian:bookworm",
        "localhost/tank-replica-host:<none>",
        "localhost/tank-replica-hostess:1",
        "<none>:<none>",
    ]


def test_clean_waits_until_there_is_no_instance(images, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TANK_REPLICA_BASE", str(tmp_path))
    for folder in ("cache/packages-1", "box"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "box.lock").touch()
    before = list(images)
    assert cli.main(["clean"]) == 1
    assert "replica --name box down --purge" in capsys.readouterr().err
    assert images == before
    assert (tmp_path / "cache/packages-1").is_dir()
    (tmp_path / "box").rmdir()
    assert cli.main(["clean"]) == 0
    assert len(images) == len(before) - 2
    assert not (tmp_path / "cache").exists()
    assert cli.main(["clean"]) == 0


def test_clean_without_an_engine_removes_the_cache_and_says_why_no_images(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TANK_REPLICA_BASE", str(tmp_path))
    monkeypatch.setattr(engine, "missing", lambda: "podman is not installed")
    (tmp_path / "cache").mkdir()
    assert cli.main(["clean"]) == 0
    assert "podman is not installed" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
