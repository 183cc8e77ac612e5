"""The pages of the report, from one text: report.md, and report.html, which is self-contained."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cdred import documents
from cdred.report import context
from cdred.report.catalogue import task_page
from cdred.report.colours import colours
from cdred.report.figures import Figures
from cdred.report.markup import code, plain
from cdred.report.rows import Data, Row
from cdred.report.svg import Panel

if TYPE_CHECKING:
    from jinja2 import Environment

    from cdred.report.experiment import Experiment

NUMBER = re.compile(r"-?[\d.,]+( %| MB| kJ| \(fails\))?|[\d:]+|n/a|never|")

FILM = 2**26  # bytes of a film, at most
MANY = 6  # runs, beyond which films are small


def write(experiment: Experiment, data: Data, drawn: Figures, out: Path) -> None:
    """Write report.md, report.html, and of an experiment with several tasks a page for each."""
    several = len(data.tasks) > 1
    shared = {"colours": colours(data), "several_tasks": several}
    linking = {"data": _linking(data)}
    whole = context.context(experiment, data) | shared
    _fill("report.md", whole | _MARKDOWN | {"drawn": drawn}, out / "report.md")
    main = drawn.overview() if several else drawn
    linked = context.answer(data, lambda task: Markup(f"[{plain(task)}]({task_page(task)})"))
    _fill(
        "report.html",
        whole | _HTML | linking | {"drawn": main, "answer": linked},
        out / "report.html",
    )
    for task in data.tasks if several else []:
        part = context.context(experiment, data.only(task)) | shared | {"drawn": drawn.only(task)}
        _fill("task.html", part | _HTML | linking | {"task": task}, out / task_page(task))


def write_cost(variables: dict[str, Any], file: Path) -> None:
    """Write the page of what training and acting took; see tools/cost_page.py."""
    _fill("cost.html", variables | _HTML | {"table": _table, "colours": {}}, file)


def _fill(template: str, variables: dict[str, Any], file: Path) -> None:
    text = _environment().get_template(f"{template}.j2").render(variables)
    file.write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", encoding="utf-8")


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # of Markdown as of HTML, nothing that is filled in is markup
        loader=PackageLoader("cdred.report"), autoescape=True, finalize=plain,
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    script = (Path(__file__).parent / "templates" / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # No other script runs in the page, whatever gets into it.
    environment.globals |= {"script": Markup(script), "script_hash": f"sha256-{digest}"}
    render = _to_html()
    environment.filters["markdown"] = lambda text: Markup(render(str(text)))
    return environment


def _to_html() -> Callable[[str], str]:
    from markdown_it import MarkdownIt

    def opened(*_: Any) -> str:
        return '<div class="scroll" tabindex="0"><table>\n'

    def closed(*_: Any) -> str:
        return "</table></div>\n"

    def heading(tokens: Any, at: int) -> str:
        """A heading of the second level leads to itself."""
        if tokens[at].tag != "h2":
            return f"<{tokens[at].tag}>"
        name = re.sub(r"[^a-z0-9]+", "-", tokens[at + 1].content.lower()).strip("-")
        return f'<h2 id="{name}"><a href="#{name}">'

    def headed(tokens: Any, at: int) -> str:
        return f"{'</a>' if tokens[at].tag == 'h2' else ''}</{tokens[at].tag}>\n"

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("heading_open", lambda self, tokens, at, *_: heading(tokens, at))
    parser.add_render_rule("heading_close", lambda self, tokens, at, *_: headed(tokens, at))
    parser.add_render_rule("table_open", lambda self, *_: opened())
    parser.add_render_rule("table_close", lambda self, *_: closed())

    def rendered(text: str) -> str:
        text = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
        return str(parser.render(re.sub(r"\n{3,}", "\n\n", text))).strip()

    return rendered


# ---- the parts of Markdown and of HTML -----------------------------------------------------


def _table(head: list[str], rows: list[list[Any]]) -> Markup:
    """A Markdown table; columns of numbers are aligned to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    numbers = [all(NUMBER.fullmatch(row[k]) for row in cells) for k in range(len(head))]
    rules = ["---:" if number else "---" for number in numbers]
    lines: list[Iterable[str]] = [[plain(name) for name in head], rules, *cells]
    return Markup("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _shorter_table(head: list[str], rows: list[list[Any]]) -> Markup:
    """As `_table`, without a task that is the same in all rows: the page's."""
    if head[0] == "task" and len(rows) > 0 and len({row[0] for row in rows}) == 1:
        head, rows = head[1:], [row[1:] for row in rows]
    return _table(head, rows)


def _film_table(films: list[Row]) -> Markup:
    rows = [[f["run"], f["seed"], f["film"], _place(f), code(f["path"])] for f in films]
    return _table(["run", "seed", "episode", "return", "film"], rows)


def _place(film: Row) -> str:
    """Its return and its rank, from the first to the last of those that share it."""
    ranks = " to ".join(_ordinal(rank) for rank in sorted({film["rank"], film["last"]}))
    return f"{film['return']:.1f}, {ranks} of {film['of']}"


def _contents(bodies: list[str]) -> Markup:
    """A list of the sections, unless there is one alone."""
    heads = [re.findall(r'<h2 id="[^"]+">(<a .*?</a>)', body) for body in bodies]
    if len(heads) < 2:
        return Markup()
    links = "".join(f"<li>{link}</li>\n" for of_body in heads for link in of_body)
    return Markup(f'<nav aria-label="Contents"><ul>\n{links}</ul></nav>')


def _linking(data: Data) -> Callable[..., Markup]:
    """Links to tables beside the page, to those that hold something."""

    def links(*tables: str) -> Markup:
        filled = [f'<a href="{name}.csv">{name}.csv</a>' for name in tables if getattr(data, name)]
        return Markup(f'<p class="data">Data: {", ".join(filled)}</p>') if filled else Markup()

    return links


def _browser(summary: str, panel: Panel | None, caller: Callable[[], str]) -> Markup:
    """Episodes in a table beside the figure of all of them."""
    figure = _inlined([panel]) if panel else ""
    return Markup(
        f'<details class="browser"><summary>Each episode of {plain(summary)}</summary>\n\n'
        f'<div class="beside">\n{figure}\n\n{caller()}\n\n</div>\n</details>\n'
    )


def _browser_text(summary: str, panel: Panel | None, caller: Callable[[], str]) -> Markup:
    figure = _pictures([panel]) if panel else ""
    return Markup(f"### Each episode of {plain(summary)}\n\n{figure}\n\n{caller()}")


def _pictures(panels: Iterable[Panel]) -> Markup:
    return Markup("\n").join(
        Markup(f"![{plain(panel.label)}]({panel.file})")
        + (Markup(f"\n*{plain(panel.note)}*\n") if panel.note else "")
        for panel in panels
    )


def _grid(cells: Iterable[str], kind: str = "") -> Markup:
    """A block without empty lines, which would end it in Markdown."""
    return Markup("\n".join([f'<div class="{f"grid {kind}".strip()}">', *cells, "</div>"]))


def _inlined(panels: Iterable[Panel]) -> Markup:
    cells = [
        f"<figure>{panel.svg}"
        + (f"<figcaption>{plain(panel.note)}</figcaption>" if panel.note else "")
        + "</figure>"
        for panel in panels
    ]
    return _grid(cells, {1: "one", 2: "two", 4: "four"}.get(len(cells), ""))


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"


def _embedded(films: list[Row]) -> Markup:
    def video(film: Row) -> str:
        content = base64.b64encode(documents.read_bytes(film["file"], FILM)).decode()
        run, kind = plain(film["run"]), film["film"]
        return (
            f'<div class="{kind}"><video autoplay loop muted playsinline controls '
            f'aria-label="The {kind} episode of {run} on {plain(film["task"])}" '
            f'src="data:video/mp4;base64,{content}"></video>'
            f"<p>{kind}: return {_place(film)}</p></div>"
        )

    by_run: dict[str, list[Row]] = {}
    for film in films:
        by_run.setdefault(film["run"], []).append(film)
    cells = [
        f'<figure class="run-{plain(run)}"><figcaption><strong>{plain(run)}</strong>, '
        f'seed {own[0]["seed"]}</figcaption><div class="pair">{"".join(map(video, own))}</div>'
        "</figure>"
        for run, own in by_run.items()
    ]
    return _grid(cells, "films many" if len(cells) > MANY else "films")


_MARKDOWN: dict[str, Any] = {
    "table": _table,
    "films": _film_table,
    "figures": _pictures,
    "data": lambda *tables: Markup(),
    "browser": _browser_text,
    "details": lambda summary, caller: Markup(f"### {plain(summary)}\n\n{caller()}"),
}
_HTML: dict[str, Any] = {
    "table": _shorter_table,
    "films": _embedded,
    "figures": _inlined,
    "browser": _browser,
    "contents": _contents,
    "details": lambda summary, caller: Markup(
        f"<details><summary>{plain(summary)}</summary>\n\n{caller()}\n\n</details>\n"
    ),
}
