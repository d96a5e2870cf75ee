"""The page of what works is up to date."""

from tests.zoo.print_page import PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.zoo.print_page"
