"""Who may read metrics."""

import pytest

from app.domain.scraping import may_scrape


@pytest.mark.parametrize(
    ("token", "client", "headers", "may"),
    [
        ("", "127.0.0.1", {}, True),
        ("", "::1", {}, True),
        ("", "10.0.0.7", {}, False),
        ("", "unknown", {}, False),
        ("", "127.0.0.1", {"x-forwarded-for": "10.0.0.7"}, False),
        ("", "127.0.0.1", {"forwarded": "for=10.0.0.7"}, False),
        ("s3cret", "10.0.0.7", {"authorization": "Bearer s3cret"}, True),
        ("s3cret", "127.0.0.1", {}, False),
        ("s3cret", "127.0.0.1", {"authorization": "Bearer s3cre"}, False),
        ("s3cret", "127.0.0.1", {"authorization": "Basic s3cret"}, False),
        ("s3cret", "127.0.0.1", {"authorization": "Bearer ñ"}, False),
    ],
)
def test_the_token_or_this_machine(token: str, client: str, headers: dict[str, str], may: bool) -> None:
    assert may_scrape(token, client, headers) is may
