"""What goes into CSV files that people open in a spreadsheet."""

# What a spreadsheet takes for the beginning of a formula, in the wide forms of East Asian keyboards too.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def cell(value: object) -> object:
    """Numbers as they are; text that a spreadsheet would run begins with an apostrophe, which it shows as text."""
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f"'{value}"
    return value
