"""The report as one HTML page that needs nothing else: its pictures are in it."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from refeed.paper.section import Claim, Section, Table

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto 4rem; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .4rem; padding-top: .9rem; border-top: 1px solid var(--line); }
p.lead { color: var(--quiet); margin-top: 0; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 1.2rem 0; font-size: .95rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .8rem 0; }
th, td { padding: .28rem .7rem; text-align: right; vertical-align: top; }
th, td { border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tbody tr:hover { background: var(--soft); }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; margin: .6rem 0; display: block; }
ul { padding-left: 1.2rem; } li { margin: .25rem 0; }
.notes { color: var(--quiet); font-size: .88rem; }
.numbers td { white-space: nowrap; }
.claims :is(th, td) { text-align: left; } .claims td:nth-child(3) { white-space: nowrap; }
.verdict { font-weight: 600; padding: .05rem .5rem; border-radius: 1rem; border: 1px solid var(--line); }
.holds { background: #0a84; } .does-not-hold { background: #d604; } .not-settled { background: #ea04; }
code { font-size: .88rem; } pre { overflow-x: auto; padding: .7rem; background: var(--soft); }
"""


def page(
    sections: Sequence[Section],
    out: Path,
    *,
    data: str,
    summary: str,
    facts: Mapping[str, object],
    environment: Mapping[str, object],
    command: str,
) -> str:
    """Write a report as HTML.

    Args:
        sections: in their order; <name>.png of each is in `out`.
        out: the folder of the pictures.
        data: what the ratings are, in words.
        summary: which claims hold, in a paragraph.
        facts: of the report: seeds, windows, seconds.
        environment: of the machine.
        command: that made the report.
    """
    claims = [claim for section in sections for claim in section.claims]
    links = "".join(f'<a href="#{each.name}">{escape(each.title)}</a>' for each in sections)
    body = [
        "<h1>Training Deep AutoEncoders for Recommender Systems: its tables and figures, measured</h1>",
        f'<p class="lead">on {escape(data)}, by refeed</p>',
        f"<nav>{links}<a href='#environment'>Environment</a></nav>",
        "<h2>What holds here</h2>",
        f"<p>{escape(summary)}</p>",
        _claims(claims),
        *(_section(section, out) for section in sections),
        '<h2 id="environment">How it was made</h2>',
        f"<pre><code>{escape(command)}</code></pre>",
        _facts(facts),
        _facts(environment),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>refeed: the paper on {escape(data)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _section(section: Section, out: Path) -> str:
    picture = base64.b64encode((out / f"{section.name}.png").read_bytes()).decode()
    notes = "".join(f"<li>{escape(note)}</li>" for note in section.notes)
    return "\n".join(
        [
            f'<h2 id="{section.name}">{escape(section.title)}</h2>',
            f"<p>{escape(section.about)}</p>",
            _table(section.table),
            f'<img alt="{escape(section.title)}, drawn" src="data:image/png;base64,{picture}">',
            f'<ul class="notes">{notes}</ul>' if notes else "",
        ]
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in table.headers)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<div class="scroll"><table class="numbers">{body}</table></div>'


def _claims(claims: Sequence[Claim]) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(claim.topic)}</td><td>{escape(claim.says)}</td>"
        f'<td><span class="verdict {claim.verdict.replace(" ", "-")}">{claim.verdict}</span></td>'
        f"<td>{escape(claim.evidence[:1].upper() + claim.evidence[1:])}</td></tr>"
        for claim in claims
    )
    return (
        '<div class="scroll"><table class="claims"><thead><tr><th>of</th><th>the paper\'s claim</th>'
        f"<th>here</th><th>evidence</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _facts(facts: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{'none' if value is None else escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"
