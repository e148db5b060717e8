"""What who uses the simulated API is told: variables, configuration, commands to try."""

from __future__ import annotations

from carsync import formatting
from carsync.demo.door import USER
from carsync.demo.server import RunningSimulator
from carsync.demo.simulator import SimulatorOptions


def key_variables(options: SimulatorOptions) -> str:
    """Return the variables that hold what the simulated API wants."""
    key = options.key or "none"
    if options.auth in {"basic", "login"}:
        return f"API_USERNAME={USER} API_PASSWORD={key}"
    return (
        f"API_CLIENT_ID={USER} API_CLIENT_SECRET={key}"
        if options.auth == "oauth2"
        else f"API_KEY={key}"
    )


def _auth_lines(api: RunningSimulator) -> str:
    """Return the configuration that the door asks for; empty: the usual one."""
    options = api.app.options
    if options.key is None or options.auth == "header":
        return ""
    keys = f"type: {options.auth}"
    if options.auth == "oauth2":
        keys += f", token_url: {api.base_url}/oauth/token"
    if options.auth == "login":
        keys += ", path: /login" + (", expires_in: expires_in" * bool(options.access_token_life_s))
    return f"\n  in the file:   api: {{auth: {{{keys}}}}}"


def _curl(options: SimulatorOptions) -> str:
    """Return curl's options that show the key; TOKEN is one that was given for it."""
    if options.key is None:
        return ""
    shown = {
        "header": f"-H 'X-API-Key: {options.key}' ",
        "bearer": f"-H 'Authorization: Bearer {options.key}' ",
        "basic": f"-u '{USER}:{options.key}' ",
        "query": f"-G -d 'api_key={options.key}' ",
        "none": "",
    }
    return shown.get(options.auth, "-H 'Authorization: Bearer TOKEN' ")


def usage(api: RunningSimulator) -> str:
    """Return what to ask the simulated API by hand, a command a line."""
    app = api.app
    pages = app.feed.page_count(app.snapshot, app.options.page_size)
    return (
        f"serving {formatting.plural(len(app.snapshot.ids), 'car')} in "
        f"{formatting.plural(pages, 'page')}, "
        f"snapshot {app.snapshot.number}; Ctrl-C stops\n"
        f"  a page:        curl {_curl(app.options)}'{api.base_url}/cars?page=1'\n"
        f"  next snapshot: curl -X POST '{api.origin}/_sim/snapshot?n={app.snapshot.number + 1}'\n"
        f"  an hour later: curl -X POST '{api.origin}/_sim/advance'\n"
        f"  a lie:         curl -X POST '{api.origin}/_sim/lie?name=total-capped'\n"
        f"  the truth:     curl '{api.origin}/_sim/truth'\n"
        f"  arrivals:      curl '{api.origin}/_sim/log'{_auth_lines(api)}"
    )
