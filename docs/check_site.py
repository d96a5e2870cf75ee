"""Check the pages that were built: every link leads somewhere, every public name is near.

`python docs/check_site.py build/docs/html` prints what is wrong and exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Iterator

# Pages that Sphinx writes around the text, whose links are those of the text again.
LISTINGS = {"genindex.html", "py-modindex.html", "search.html"}
MAX_CLICKS = 2


@dataclass
class Page(HTMLParser):
    """The links of a page, and the places in it that links may name."""

    links: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    has_search: bool = False
    has_theme_switch: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        for name in ("href", "src"):
            if values.get(name):
                self.links.add(values[name])
        self.has_search |= "search-button" in values.get("class", "")
        self.has_theme_switch |= "theme-switch" in values.get("class", "")


def read_pages(folder: Path) -> dict[Path, Page]:
    """Return the pages of a folder, by their path in it."""
    pages = {}
    for file in sorted(folder.rglob("*.html")):
        if "_static" in file.parts:
            continue  # Templates of the theme.
        page = Page()
        page.feed(file.read_text(encoding="utf-8"))
        pages[file.relative_to(folder)] = page
    return pages


def targets(folder: Path, path: Path, page: Page) -> Iterator[tuple[str, Path, str]]:
    """Yield each link of a page to a file of the site, with the file and the place in it."""
    for link in sorted(page.links):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        whole = (folder / path.parent / unquote(parts.path)).resolve() if parts.path else None
        target = path if whole is None else whole.relative_to(folder.resolve(), walk_up=True)
        yield link, target, unquote(parts.fragment)


def broken_links(folder: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield a line for each link that leads to no file, or to no place in it."""
    for path, page in pages.items():
        for link, target, place in targets(folder, path, page):
            if not (folder / target).is_file():
                yield f"{path}: {link} leads to no file"
            elif place and target in pages and place not in pages[target].places:
                yield f"{path}: {link} leads to no place in {target}"


def clicks_from_front(folder: Path, pages: dict[Path, Page]) -> dict[Path, int]:
    """Return the least number of clicks from the front page to each page."""
    clicks = {Path("index.html"): 0}
    current = list(clicks)
    while current:
        following = [
            target
            for path in current
            if path.name not in LISTINGS and "_modules" not in path.parts
            for _, target, _ in targets(folder, path, pages[path])
            if target in pages
        ]
        new = set(following) - clicks.keys()
        clicks |= dict.fromkeys(new, clicks[current[0]] + 1)
        current = list(new)
    return clicks


def names_out_of_reach(folder: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield a line for each public name whose page is more than two clicks from the front."""
    clicks = clicks_from_front(folder, pages)
    homes = {place: path for path, page in pages.items() for place in page.places}
    for name in by.__all__:
        home = homes.get(f"bayou.{name}")
        if home is None:
            yield f"bayou.{name} has no page"
        elif clicks.get(home, MAX_CLICKS + 1) > MAX_CLICKS:
            yield f"bayou.{name} is {clicks.get(home)} clicks from the front page"


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the site in a folder."""
    pages = read_pages(folder)
    front = pages[Path("index.html")]
    found = [*broken_links(folder, pages), *names_out_of_reach(folder, pages)]
    if not front.has_search:
        found.append("index.html has no search box")
    if not front.has_theme_switch:
        found.append("index.html has no switch to the dark")
    return found


def main(folder: Path) -> int:
    found = faults(folder)
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(read_pages(folder))} pages, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
