"""The cluster's files are tried before anything is started; TLS wherever the address says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carsync.config.sections import ClusterTls, EngineRules
from carsync.engine.dask.security import security_of
from carsync.errors import ConfigError
from tests.support.authority import Authority, needs_openssl

ADDRESS = "tls://10.0.0.5:8786"


def engine(tls: dict[str, str], scheduler: str = ADDRESS) -> EngineRules:
    return EngineRules("dask", scheduler, None, ClusterTls(**tls))


@needs_openssl
def test_each_role_shows_the_one_certificate_and_wants_one_of_the_authority(tmp_path: Path) -> None:
    tls = Authority(tmp_path / "tls").issue("host")
    security: Any = security_of(engine(tls))
    assert security.require_encryption
    for role in ("client", "worker", "scheduler"):
        files = security.get_tls_config_for_role(role)
        assert (files["ca_file"], files["cert"], files["key"]) == (
            tls["ca"],
            tls["cert"],
            tls["key"],
        )
    assert not security_of(engine({}, "tcp://127.0.0.1:8786")).require_encryption


@needs_openssl
def test_a_file_that_cannot_be_used_is_named_by_its_key(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    one, other = authority.issue("one"), authority.issue("other")
    junk = tmp_path / "junk"
    junk.write_text("no certificate")
    for change, words in (
        ({"ca": str(tmp_path / "none")}, "engine.tls.ca cannot be read"),
        ({"ca": str(junk)}, "engine.tls.ca cannot be read"),
        ({"key": str(tmp_path / "none")}, "engine.tls.key cannot be read"),
        ({"key": other["key"]}, "engine.tls.cert and engine.tls.key cannot be used together"),
        ({"cert": str(junk)}, "engine.tls.cert and engine.tls.key cannot be used together"),
    ):
        with pytest.raises(ConfigError) as caught:
            security_of(engine({**one, **change}))
        assert words in caught.value.problem
        assert caught.value.detail
