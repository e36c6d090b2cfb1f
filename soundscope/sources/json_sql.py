"""Small builders for the SQL by which sources read rows from JSON; no provider's names."""

from __future__ import annotations


def text(path: str, of: str = "e") -> str:
    """The text at a JSON path of the element, NULL where absent or null."""
    return f"json_extract_string({of}, '{path}')"


def joined(path: str, separator: str, of: str = "e") -> str:
    """The texts at a JSON path with a wildcard, joined; NULL where there is none."""
    return f"nullif(array_to_string(json_extract_string({of}, '{path}'), '{separator}'), '')"


def elements(path: str, of: str = "body") -> str:
    """The list of JSON elements at a path with a wildcard; empty where the path is absent."""
    return f"json_extract({of}, '{path}')"


def first_day(date_text: str) -> str:
    """A date text of the form YYYY, YYYY-MM or YYYY-MM-DD as the first day it can mean."""
    return (
        f"case when regexp_full_match({date_text}, '[0-9]{{4}}') then {date_text} || '-01-01' "
        f"when regexp_full_match({date_text}, '[0-9]{{4}}-[0-9]{{2}}') then {date_text} || '-01' else {date_text} end"
    )


def precision(date_text: str) -> str:
    """How precise such a date text is: year, month or day."""
    return f"case length({date_text}) when 4 then 'year' when 7 then 'month' when 10 then 'day' end"
