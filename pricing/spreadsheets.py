"""What goes into CSV files that people open in a spreadsheet."""

import string

# What a spreadsheet takes for the beginning of a formula, in the wide forms of East Asian keyboards too.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
# What `str.strip` passes over: a spreadsheet passes over some of it.
_BLANK = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
# First characters, by their codes, of text that is known at once to begin no formula: "/" to ";" and "A" to "z".
_HARMLESS = "BETWEEN 47 AND 59", "BETWEEN 65 AND 122"
assert not {ord(char) for char in FORMULA + tuple(string.whitespace)} & {*range(47, 60), *range(65, 123)}


def cell(value: object) -> object:
    """Numbers as they are; text that a spreadsheet would run begins with an apostrophe, which it shows as text."""
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f"'{value}"
    return value


def cell_in_sql(column: str) -> str:
    """The same as an SQL expression on a column of text (trusted text), for rows that PostgreSQL itself writes."""
    blank = "".join(f"\\{ord(char):04X}" for char in _BLANK)
    known = " OR ".join(f"ascii({column}) {codes}" for codes in _HARMLESS)
    signs = ", ".join(f"'{sign}'" for sign in FORMULA)
    return (
        f"CASE WHEN {known} THEN {column}"
        f" WHEN left(ltrim({column}, U&'{blank}'), 1) IN ({signs}) THEN '''' || {column} ELSE {column} END"
    )
