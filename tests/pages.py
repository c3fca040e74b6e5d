"""A page read back: its tables, its sections and what links to what, as they stand in the HTML."""

from html.parser import HTMLParser
from io import StringIO
from urllib.parse import unquote

import pandas as pd

VOID = {"meta", "link", "input", "path", "circle", "rect", "use", "polygon", "polyline"}


class Page(HTMLParser):
    """What a page says.

    Attributes
    ----------
    text : str
        All text outside of style and script.
    tables : dict of str to list of list of str
        Cells of the rows of each table, by its id, its class or a number.
    sections : dict of str to dict
        Of each member, by its address: ``text``, ``facts`` (what by under what) and ``rows``.
    ids, links, tags : list
        All ids, all addresses that anything names, and all tags.
    """

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.html, self._text = html, []
        self.tables, self.sections = {}, {}
        self.ids, self.links, self.tags = [], [], []
        self._open, self._section, self._rows, self._fact = [], None, None, None
        self.feed(html)
        self.close()
        self.text = "".join(self._text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[x] for x in ("href", "src", "action", "data") if x in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section" and attrs.get("class") == "member":
            self._section = self.sections[attrs["id"]] = {"text": "", "facts": {}, "rows": []}
        elif tag == "table":
            name = attrs.get("id") or attrs.get("class") or len(self.tables)
            self._rows = self._section["rows"] if self._section else []
            self.tables.setdefault(name, self._rows)
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, (tag, self.getpos())
        if tag == "section":
            self._section = None
        elif tag == "table":
            self._rows = None

    def handle_data(self, data):
        inside = self._open[-1] if self._open else ""
        if inside in ("style", "script"):
            return
        data = data.replace("\N{NO-BREAK SPACE}", " ")
        self._text.append(data)
        if self._rows and {"td", "th"} & {*self._open}:
            self._rows[-1][-1] += data
        elif self._section is not None:
            self._section["text"] += data
            if inside == "dt":
                self._fact = data
            elif inside == "dd":
                facts = self._section["facts"]
                facts[self._fact] = facts.get(self._fact, "") + data

    def csv(self, **kwargs):
        """Return the table that the page offers as a file."""
        (address,) = (link for link in self.links if link.startswith("data:text/csv"))
        head, text = unquote(address).split(",", 1)
        assert head == "data:text/csv;charset=utf-8"
        assert text[0] == "\N{BOM}"
        return pd.read_csv(StringIO(text[1:]), keep_default_na=False, na_values=[""], **kwargs)


def read_page(path):
    return Page(path.read_text(encoding="utf-8"))
