"""Certificates of a cluster, made by the very commands of docs/cluster.md."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="LOUD: openssl is not on the PATH")
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_EXTENSIONS = "basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth, clientAuth\n"


class Authority:
    """An authority of its own with the files that it made, below `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        (folder / "node.ext").write_text(_EXTENSIONS)
        self._run(
            "req", "-x509", *_CURVE, "-days", "3650", "-subj", "/CN=carsync cluster",
            "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip

    @property
    def ca(self) -> str:
        return str(self._folder / "ca.pem")

    def issue(self, name: str, days: int = 365) -> dict[str, str]:
        """Return `engine.tls` for a new certificate; with -1 `days` it is expired."""
        self._run("req", "-new", *_CURVE, "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                  "-out", f"{name}.csr")  # fmt: skip
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", str(days), "-extfile", "node.ext",
                  "-out", f"{name}.pem")  # fmt: skip
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        return {"ca": self.ca, "cert": str(cert), "key": str(key)}

    def _run(self, *words: str) -> None:
        command = [str(OPENSSL), *words]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
