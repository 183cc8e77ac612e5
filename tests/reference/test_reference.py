"""The documentation against the code: reference pages are current, all links lead somewhere, and
every page is in the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdred import reference
from cdred.reference import configuration

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md")),
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]  # fmt: skip
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("place", reference.FILES, ids=str)
def test_generated_files_are_current(place: Path) -> None:
    """`make docs` writes them."""
    assert (CHECKOUT / place).read_text(encoding="utf-8") == reference.FILES[place]()


def test_every_setting_is_explained() -> None:
    page = configuration.page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("| |") and not row.startswith("| `source`")] == []


def text_of(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge and MkDocs make them."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_every_page_is_in_the_site() -> None:
    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [
            page
            for inner in (entry.values() if isinstance(entry, dict) else entry)
            for page in pages(inner)
        ]

    nav = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text())["nav"]
    assert sorted(pages(nav)) == sorted(page.relative_to(CHECKOUT).as_posix() for page in PAGES)


def test_what_the_site_is_built_by_is_pinned_by_hash_and_names_no_host() -> None:
    text = (CHECKOUT / "requirements-docs.lock").read_text()
    packages = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert any(package.startswith("mkdocs-material==") for package in packages)
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
