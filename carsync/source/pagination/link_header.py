"""`api.pagination.type: link_header`: the `Link` header names the next page (RFC 8288)."""

from __future__ import annotations

import re
from typing import Any

from carsync.source.pagination.base import HEADER
from carsync.source.pagination.next_link import NextLinkPaginator

_LINK = re.compile(r'<([^>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*")*)')
_REL = re.compile(r'(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))', re.IGNORECASE)


class LinkHeaderPaginator(NextLinkPaginator):
    """The link whose relation is `rel` leads to the next page."""

    @property
    def next_place(self) -> str:
        """The header that holds the links."""
        return HEADER + "Link"

    @property
    def next_key(self) -> str:
        """The key of the relation."""
        return "api.pagination.rel"

    def read_token(self, value: Any) -> str | None:
        """Return the path and query of the link that has the relation."""
        return super().read_token(find_link(value or "", self._pagination.rel))


def find_link(header: str, rel: str) -> str | None:
    """Return the address of the link with this relation, None where there is none.

    >>> find_link('</a?x=1,2>; rel="first prev", </a?page=3>; title="a, b"; rel=next', "next")
    '/a?page=3'
    """
    for address, attributes in _LINK.findall(header):
        found = _REL.search(attributes)
        if found and rel.lower() in (found[1] or found[2]).lower().split():
            return str(address)
    return None
