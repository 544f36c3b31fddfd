"""Rating is exact: whatever is used at whatever price, the lines add up to the charge."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pricing.rating import (
    BASIS_POINTS,
    ChargeOutOfBounds,
    PriceTable,
    QuantityOutOfBounds,
    Rates,
    RatingError,
    UnknownUnit,
    UnpricedUnit,
    is_complete,
    rate,
    resolve,
    total_input_tokens,
)
from pricing.units import INPUT_UNITS, UNITS

UNIT_CODES = list(UNITS)

usages = st.dictionaries(st.sampled_from(UNIT_CODES), st.integers(0, 10_000))
prices = st.fixed_dictionaries(dict.fromkeys(UNIT_CODES, st.integers(0, 10**9)))
multipliers = st.integers(1, 1_000_000)
tables = st.builds(
    lambda base, long, threshold, bp: PriceTable(1, bp, ((0, base), (threshold, long))),
    prices,
    prices,
    st.integers(1, 50_000),
    multipliers,
)


def table(rates: Rates, multiplier_bp: int = BASIS_POINTS) -> PriceTable:
    return PriceTable(7, multiplier_bp, resolve(rates))


@given(usages, tables)
def test_the_parts_add_up_to_the_charge(usage: dict[str, int], table: PriceTable) -> None:
    receipt = rate(usage, table)
    assert sum(line.amount_picousd for line in receipt.lines) == receipt.subtotal_picousd
    assert all(line.quantity * line.price_picousd_per_unit == line.amount_picousd for line in receipt.lines)
    with localcontext(prec=60):
        together = receipt.subtotal_picousd + receipt.adjustment_picousd + receipt.rounding_picousd
    assert together == receipt.charged_nanousd * 1000


@given(usages, tables)
def test_rounding_is_at_most_half_a_nano_dollar_and_halves_go_to_even(
    usage: dict[str, int], table: PriceTable
) -> None:
    receipt = rate(usage, table)
    assert abs(receipt.rounding_picousd) <= 500
    if abs(receipt.rounding_picousd) == 500:
        assert receipt.charged_nanousd % 2 == 0


@given(usages, tables)
def test_a_line_for_each_unit_that_was_used(usage: dict[str, int], table: PriceTable) -> None:
    used = [unit for unit in UNITS if usage.get(unit)]
    assert [line.unit for line in rate(usage, table).lines] == used


@given(usages, tables)
def test_the_order_of_the_usage_does_not_matter(usage: dict[str, int], table: PriceTable) -> None:
    assert rate(dict(reversed(usage.items())), table) == rate(usage, table)


@given(usages, tables, st.sampled_from(UNIT_CODES))
def test_using_more_never_costs_less_within_a_tier(
    usage: dict[str, int], table: PriceTable, unit: str
) -> None:
    more = {**usage, unit: usage.get(unit, 0) + 1}
    before, after = rate(usage, table), rate(more, table)
    assume(before.above_input_tokens == after.above_input_tokens)
    assert after.charged_nanousd >= before.charged_nanousd


@given(usages, tables)
def test_rounding_does_not_depend_on_the_decimal_context(usage: dict[str, int], table: PriceTable) -> None:
    with localcontext(prec=2):
        narrow = rate(usage, table).rounding_picousd
    assert narrow == rate(usage, table).rounding_picousd


def test_a_multiplier_can_leave_a_fraction_of_a_pico_dollar() -> None:
    receipt = rate({"input_tokens": 1}, table(((0, {"input_tokens": 333}),), 12_345))
    # 333 x 1.2345 = 411.0885 pico-dollars, which is nearer to 0 than to 1,000.
    assert receipt.adjustment_picousd == Decimal("78.0885")
    assert receipt.rounding_picousd == Decimal("-411.0885")
    assert receipt.charged_nanousd == 0


@pytest.mark.parametrize(("picousd", "nanousd"), [(500, 0), (501, 1), (1_500, 2), (2_500, 2), (2_501, 3)])
def test_half_even(picousd: int, nanousd: int) -> None:
    assert rate({"calls": 1}, table(((0, {"calls": picousd}),))).charged_nanousd == nanousd


def test_a_tier_prices_all_tokens_of_the_call() -> None:
    tiered = table(((0, {"input_tokens": 1_000, "output_tokens": 5_000}), (200_000, {"input_tokens": 2_000})))
    at = rate({"input_tokens": 200_000, "output_tokens": 10}, tiered)
    above = rate({"input_tokens": 200_001, "output_tokens": 10}, tiered)
    assert (at.above_input_tokens, at.subtotal_picousd) == (0, 200_000 * 1_000 + 10 * 5_000)
    # The tier has no output price of its own: output costs what it costs below.
    assert (above.above_input_tokens, above.subtotal_picousd) == (200_000, 200_001 * 2_000 + 10 * 5_000)


@pytest.mark.parametrize("unit", sorted(INPUT_UNITS))
def test_every_input_unit_counts_towards_the_tier(unit: str) -> None:
    base = dict.fromkeys(UNITS, 1)
    tiered = table(((0, base), (1_000, dict.fromkeys(UNITS, 2))))
    assert rate({"input_tokens": 600, unit: 1_001}, tiered).above_input_tokens == 1_000
    assert total_input_tokens({"output_tokens": 5_000, "images": 3}) == 0


def test_nothing_used_costs_nothing_and_needs_no_price() -> None:
    receipt = rate({"images": 0}, table(((0, {"input_tokens": 1}),)))
    assert receipt.lines == ()
    assert receipt.charged_nanousd == 0


def test_a_unit_without_price_is_refused_by_name() -> None:
    with pytest.raises(UnpricedUnit, match="images") as error:
        rate({"input_tokens": 5, "images": 1}, table(((0, {"input_tokens": 1}),)))
    assert (error.value.unit, error.value.code) == ("images", "unpriced_unit")


@pytest.mark.parametrize("quantity", [-1, 100_000_001, True, 1.0, "1", None, 10**100])
def test_absurd_quantities_are_refused_by_name(quantity: object) -> None:
    with pytest.raises(QuantityOutOfBounds, match="input_tokens"):
        rate({"input_tokens": quantity}, table(((0, {"input_tokens": 1}),)))  # type: ignore[dict-item]  # bad input


@pytest.mark.parametrize("code", UNIT_CODES)
def test_the_bound_of_each_unit_is_charged_and_one_more_is_not(code: str) -> None:
    bound = UNITS[code].bound
    assert rate({code: bound}, table(((0, {code: 1}),))).subtotal_picousd == bound
    with pytest.raises(QuantityOutOfBounds):
        rate({code: bound + 1}, table(((0, {code: 1}),)))


def test_unknown_units_are_refused() -> None:
    with pytest.raises(UnknownUnit):
        rate({"tokens": 1}, table(((0, {"input_tokens": 1}),)))


def test_a_charge_beyond_all_reason_is_refused() -> None:
    dear = table(((0, {"input_tokens": 10**15}),))
    with pytest.raises(ChargeOutOfBounds):
        rate({"input_tokens": 100_000_000}, dear)
    assert issubclass(ChargeOutOfBounds, RatingError)


@pytest.mark.parametrize(
    ("base", "is_embedding", "expected"),
    [
        ({"input_tokens": 1, "output_tokens": 1}, False, True),
        ({"input_tokens": 1, "output_tokens": 0}, False, True),
        ({"input_tokens": 1}, False, False),
        ({"input_tokens": 1}, True, True),
        ({"output_tokens": 1}, False, False),
        ({"images": 1}, False, True),
        ({"web_searches": 1}, False, False),
        ({"cached_input_tokens": 1, "reasoning_tokens": 1}, False, False),
    ],
)
def test_completeness(base: dict[str, int], is_embedding: bool, expected: bool) -> None:
    assert is_complete(((0, base),), is_embedding=is_embedding) is expected


def test_no_rates_are_never_complete() -> None:
    assert not is_complete(())
