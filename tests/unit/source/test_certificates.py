"""A bundle of certificates that cannot be used is told before anything is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from carsync.errors import ConfigError
from carsync.source.certificates import check_ca_bundle


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_bundle_that_cannot_be_read_is_the_configurations_fault(
    tmp_path: Path, text: str | None
) -> None:
    bundle = tmp_path / "ca.pem"
    if text is not None:
        bundle.write_text(text)
    with pytest.raises(ConfigError, match="ca_bundle") as caught:
        check_ca_bundle(str(bundle))
    assert str(bundle) in caught.value.detail


def test_a_bundle_is_a_file_or_a_folder_or_none(tmp_path: Path) -> None:
    for bundle in (DEFAULT_CA_BUNDLE_PATH, str(tmp_path), None):
        check_ca_bundle(bundle)
