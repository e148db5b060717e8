"""Judges the configuration by itself: values that contradict each other, and risky values."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.sections import Config
from carsync.doctor.findings import Finding, Findings
from carsync.exit_codes import ExitCode

MANY_WRITERS = 12
"""More writers than this add connections and no speed: each stages thousands of rows a second."""
LAX_SHARE = 0.5


class Origin(Struct, frozen=True):
    """Where the configuration comes from.

    `variables` are the environment variables that set a key. `exposed`: everybody on this
    machine may read the file, and the file holds the key or the password itself.
    """

    file: str | None
    variables: tuple[str, ...] = ()
    exposed: bool = False


def judge(config: Config, origin: Origin) -> list[Finding]:
    """Judge a configuration that could be read."""
    found = Findings(ExitCode.CONFIG)
    variables = f"; {', '.join(origin.variables)} of the environment" if origin.variables else ""
    found.ok("configuration", f"{origin.file or 'no file'}{variables}")
    _judge_origin(found, config, origin)
    _judge_pace(found, config)
    _judge_waits(found, config)
    _judge_deactivation(found, config)
    return found.all


def _judge_origin(found: Findings, config: Config, origin: Origin) -> None:
    if origin.exposed:
        found.warn(
            "secrets",
            "the file contains the key or the password, and every user here can read it",
            f"write ${{API_KEY}} and ${{DATABASE_URL}} in it, or chmod 600 {origin.file}",
        )
    auth = config.api.auth
    if auth.type == "none" and auth.key is not None:
        seen = "a key is set, but api.auth.type: none does not send it"
        found.warn("key", seen, "set api.auth.type: header")
    elif missing := auth.missing():
        found.problem("key", f"api.auth.{missing} is not set", f"set API_{missing.upper()}")
    elif auth.type != "none" and not auth.sends_key and not config.api.headers:
        fix = "set API_KEY, or api.auth.type: none if the API needs no key"
        found.warn("key", "no key is set, so none is sent", fix)
    elif auth.type == "oauth2" and _is_open(auth.token_url or ""):
        seen = "api.auth.token_url is http://: the secret is sent unencrypted"
        found.warn("key", seen, "set api.auth.token_url to https://…")


def _is_open(url: str) -> bool:
    """Say whether a request to `url` leaves this machine without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}


def _judge_pace(found: Findings, config: Config) -> None:
    limits = config.limits
    rate, burst = limits.requests_per_second, limits.burst
    if not rate:
        fix = "set limits.requests_per_second to what the API allows"
        found.warn("rate", "no rate limit (requests_per_second: 0)", fix)
        if burst is not None:
            found.warn("burst", f"burst: {burst} has no effect without a rate", "leave it out")
    elif burst is not None and burst > 10 * rate:
        default = replace(limits, burst=None).effective_burst
        found.warn(
            "burst",
            f"after a pause carsync sends a burst of {burst:,}, at a rate of {rate:g} requests/s",
            f"lower limits.burst; the default is twice the rate, {default}",
        )
    elif burst is not None and burst < rate / 10:
        tenth = f"burst: {burst} is less than a tenth of a second of the rate of {rate:g}/s"
        fix = "raise limits.burst, or leave it out (twice the rate)"
        found.warn("burst", f"{tenth}: the rate will not be reached", fix)
    else:
        found.ok("rate", f"a rate of {rate:g}/s, bursts of {limits.effective_burst}")
    writers = config.database.writers
    if writers > MANY_WRITERS:
        seen = f"{formatting.plural(writers, 'writer')} need as many connections; a few are as fast"
        fix = "lower database.writers (PARALLEL_BATCHES); the default is 6"
        found.warn("writers", seen, fix)


def _judge_waits(found: Findings, config: Config) -> None:
    timeout = config.api.timeout
    if timeout.total_s <= max(timeout.read_s, timeout.connect_s):
        found.warn(
            "time-outs",
            f"api.timeout.total_s ({timeout.total_s:g} s) ends an attempt before read_s "
            f"({timeout.read_s:g} s) or connect_s ({timeout.connect_s:g} s) can",
            "set total_s to more than both",
        )
    retry = config.limits.retry
    if retry.base_s > retry.cap_s:
        seen = f"limits.retry.base_s ({retry.base_s:g}) is greater than cap_s ({retry.cap_s:g})"
        found.warn("retries", seen, "set cap_s to the longest back-off")


def _judge_deactivation(found: Findings, config: Config) -> None:
    rules = config.sync.deactivate
    if not rules.enabled:
        found.ok("deactivation", "off: cars that left the feed stay active")
        return
    risks = []
    if rules.max_share > LAX_SHARE and rules.max_count is None:
        risks.append(
            f"max_share: {rules.max_share:g} allows one run to deactivate most of the cars"
        )
    if rules.second_proof == "none":
        risks.append("second_proof: none deactivates after one reading, even with page drift")
    if config.sync.max_reject_share > LAX_SHARE:
        risks.append(
            f"max_reject_share: {config.sync.max_reject_share:g} allows a merge in spite of a "
            "broken mapping"
        )
    if risks:
        found.warn(
            "deactivation",
            "; ".join(risks),
            "see sync in the file that `carsync config example` prints",
        )
        return
    proof = rules.second_proof
    if proof == "by_id" and (config.api.record is None or not rules.max_probes):
        proof = "next_run"
    found.ok("deactivation", f"at most {100 * rules.max_share:g} % at once, second proof {proof}")
