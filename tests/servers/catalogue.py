"""Which servers and feeds there are, and what an operator knows of each feed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange

from tests.servers import data
from tests.servers.toolbox import APPS, Toolbox, environment
from tests.support.site import await_that

TOKEN = "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b"
_BOOT_S = 30.0


@dataclass(frozen=True)
class Feed:
    """What an operator knows of a feed: the path and the key."""

    server: str
    path: str
    key: str = ""
    is_limited: bool = False

    @property
    def keeps_a_copy(self) -> bool:
        """Whether the server has its own copy of the cars, which only its interface changes."""
        return self.server in ("json-server", "odata", "feathers")


FEEDS = {
    "drf_page": Feed("drf", "/page/cars/"),
    "drf_limit": Feed("drf", "/limit/cars"),  # redirects to the slash
    "drf_cursor": Feed("drf", "/cursor/cars/", TOKEN),
    "drf_behind_nginx": Feed("drf", "/page/cars/", is_limited=True),
    "fastapi_page": Feed("pages", "/page/cars"),
    "fastapi_limit": Feed("pages", "/limit/cars"),
    "fastapi_cursor": Feed("pages", "/cursor/cars"),
    "smorest": Feed("smorest", "/cars/"),
    "restx": Feed("restx", "/cars/"),
    "json_server_link": Feed("json-server", "/cars?_page=1"),
    "json_server_all": Feed("json-server", "/cars"),
    "datasette": Feed("datasette", "/cars/cars.json?_shape=objects"),
    "jsonapi": Feed("jsonapi", "/cars"),
    "odata": Feed("odata", "/odata/Cars"),
    "tastypie": Feed("django_others", "/tastypie/v1/cars/"),
    "ninja_page": Feed("django_others", "/ninja/page/cars"),
    "ninja_limit": Feed("django_others", "/ninja/limit/cars"),
    "feathers": Feed("feathers", "/cars"),
    "laravel_paginate": Feed("laravel", "/paginate/cars"),
    "laravel_simple": Feed("laravel", "/simplePaginate/cars"),
    "laravel_cursor": Feed("laravel", "/cursorPaginate/cars"),
}
_ENVIRONMENTS = {
    "drf": "django",
    "jsonapi": "django",
    "django_others": "django_others",
    "pages": "fastapi",
    "restx": "flask",
    "smorest": "flask",
}


@contextmanager
def serving(feed: Feed, toolbox: Toolbox, folder: Path) -> Iterator[str]:
    """Start a feed's server over the cars in `folder`; give its address once it answers."""
    data.write_copies(folder)
    port = _free_port()
    command, variables = _command(feed.server, port, toolbox, folder)
    with _running(command, folder, variables) as process:
        address = f"http://127.0.0.1:{port}"
        _await_answer(address + feed.path, process)
        if not feed.is_limited:
            yield address
            return
        toolbox.need("nginx")
        port = _free_port()
        settings = (APPS / "nginx.conf").read_text()
        settings = settings.replace("{port}", str(port)).replace("{behind}", address)
        (folder / "nginx.conf").write_text(settings)
        with _running(("nginx", "-p", str(folder), "-c", "nginx.conf"), folder, {}) as process:
            _await_answer(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"


def _command(
    server: str, port: int, toolbox: Toolbox, folder: Path
) -> tuple[Sequence[str], Mapping[str, str]]:
    """Return a server's command and its variables."""
    if server in _ENVIRONMENTS:
        python = str(toolbox.python(_ENVIRONMENTS[server]))
        return (python, str(APPS / f"{server}.py"), str(port), "cars.db", TOKEN), {}
    if server == "datasette":
        python = str(toolbox.python("datasette"))
        return (python, "-m", "datasette", "serve", "cars.db", "-p", str(port)), {}
    if server == "laravel":
        toolbox.need("php")
        variables = {"DATABASE": "cars.db", "PHP_CLI_SERVER_WORKERS": "4"}
        return ("php", "-S", f"127.0.0.1:{port}", str(APPS / "laravel.php")), variables
    modules = toolbox.node_modules()
    shutil.copytree(APPS / "node", folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(modules)
    if server == "odata":
        return ("node_modules/.bin/cds-serve",), {"PORT": str(port)}
    if server == "feathers":
        return ("node", "feathers.js", str(port), "./cars.json"), {}
    return ("node_modules/.bin/json-server", "--port", str(port), "cars.json"), {}


@contextmanager
def _running(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server; it is ended with the block. What it writes is in `server.log`."""
    with (
        (folder / "server.log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env={**environment(folder), **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    """Return a port that nobody listens on, and that no connection's own end gets by chance."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", randrange(20_000, 32_000))) as s:
            return int(s.getsockname()[1])


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers at all; fail where its process ended."""

    def answers() -> bool:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            assert process.poll() is None, f"the server ended: see server.log beside {url}"
            return False
        return True

    await_that(answers, f"an answer from {url}", _BOOT_S)
