"""Where each page lies, as the page before it says."""

from __future__ import annotations

from carsync.source.pagination.next_pages import NextPages


def test_a_page_lies_where_the_page_before_it_says() -> None:
    pages = NextPages()
    assert not pages
    assert pages.name(1, "a", is_asked=False)
    assert (pages.token(1), pages.token(2), bool(pages)) == (None, "a", True)


def test_a_page_that_was_asked_for_stays_where_it_was() -> None:
    pages = NextPages()
    pages.name(1, "a", is_asked=False)
    assert pages.name(1, "b", is_asked=False)
    assert pages.name(1, "b", is_asked=True)
    assert not pages.name(1, "c", is_asked=True)
    assert pages.token(2) == "b"


def test_a_token_is_not_followed_twice() -> None:
    pages = NextPages()
    pages.name(1, "a", is_asked=False)
    pages.name(2, "a", is_asked=False)
    assert pages.token(3) is None
    assert pages.circle == "page 2 names itself as the next one: the feed has no end"
