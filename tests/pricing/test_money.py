"""What people read is what is counted, and what they type is taken literally or not at all."""

from decimal import Decimal

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from pricing.money import NANO_PER_USD, cents_from_text, nanousd_from_text, per_million, usd, usd_from_pico


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "$0.00"),
        (100_000_000, "$0.10"),
        (1_234_567_000, "$1.234567"),
        (1, "$0.000000001"),
        (-50_000_000, "-$0.05"),
        (1_234_500_000_000, "$1,234.50"),
    ],
)
def test_usd(nanousd: int, text: str) -> None:
    assert usd(nanousd) == text


@given(st.integers(min_value=-(2**63), max_value=2**63))
def test_usd_is_exact(nanousd: int) -> None:
    text = usd(nanousd)
    assert Decimal(text.replace("$", "").replace(",", "")) * NANO_PER_USD == nanousd


@pytest.mark.parametrize(
    ("picousd", "text"),
    [
        (2_500_000, "$0.0000025"),
        (Decimal("0.5"), "$0.0000000000005"),
        (Decimal("-12.25"), "-$0.00000000001225"),
    ],
)
def test_usd_from_pico(picousd: int | Decimal, text: str) -> None:
    assert usd_from_pico(picousd) == text


def test_usd_from_pico_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        usd_from_pico(Decimal("NaN"))


def test_per_million() -> None:
    assert per_million(2_500_000) == "$2.50"
    assert per_million(37_500) == "$0.0375"


@pytest.mark.parametrize(
    ("text", "cents"), [("10", 1000), ("10.01", 1001), ("1.5", 150), (" 7 ", 700), ("0.00", 0), ("007", 700)]
)
def test_cents_from_text(text: str, cents: int) -> None:
    assert cents_from_text(text) == cents


AMBIGUOUS = [
    "",
    "-5",
    "+5",
    "1e3",
    "１",
    "NaN",
    "inf",
    "10.001",
    "10.005",
    "1,000",
    "1_000",
    "$5",
    ".5",
    "5.",
]


@pytest.mark.parametrize("text", [*AMBIGUOUS, "0x10", "9" * 10, "9" * 5_000, "1\n2", "١٢", "5\x00"])
def test_cents_from_text_says_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z][^\n]*\.$"):
        cents_from_text(text)


@pytest.mark.parametrize(
    ("text", "nanousd"),
    [
        ("0.006", 6_000_000),
        (".5", 500_000_000),
        ("$2", 2_000_000_000),
        (" 0 ", 0),
        ("0.000000001", 1),
        ("9.", 9_000_000_000),
    ],
)
def test_nanousd_from_text(text: str, nanousd: int) -> None:
    assert nanousd_from_text(text) == nanousd


@pytest.mark.parametrize(
    "text", ["", ".", "$", "-1", "1e3", "NaN", "1,5", "1_0", "１", "9" * 10, "0.0000000001", "1\n2"]
)
def test_nanousd_from_text_says_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Write an amount in dollars"):
        nanousd_from_text(text)


@pytest.mark.parametrize(
    ("filtered", "shown"),
    [
        ("nano|usd", "$0.10"),
        ("pico|per_million", "$2.50"),
        ("pico|unit_price:'input_tokens'", "$2.50"),
        ("pico|unit_price:'images'", "$0.0000025"),
        ("'input_tokens'|unit_per", "1M tokens"),
        ("'images'|unit_per", "image"),
        ("'cached_input_tokens'|unit_label", "Cached prompt"),
        ("1|unit_noun:'images'", "image"),
        ("2|unit_noun:'images'", "images"),
        ("1048576|quantity", "1,048,576"),
        ("nothing|quantity", ""),
    ],
)
def test_filters(filtered: str, shown: str) -> None:
    page = Template("{% load money %}{{ " + filtered + " }}")
    assert page.render(Context({"nano": 100_000_000, "pico": 2_500_000, "nothing": None})) == shown
