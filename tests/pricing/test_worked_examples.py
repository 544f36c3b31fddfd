"""Stories with numbers that can be checked with pencil and paper. Prices are dollars per million tokens."""

from decimal import Decimal

from pricing.money import usd, usd_from_pico
from pricing.publishing import complete
from pricing.rating import PriceTable, rate

PER_MILLION = 1_000_000  # pico-dollars a token, for each dollar per million tokens


def test_a_question_and_its_answer() -> None:
    """1,200 tokens asked at $2.50, 300 answered at $10.00: $0.003 + $0.003 = $0.006."""
    prices = {"input_tokens": 2_500_000, "output_tokens": 10 * PER_MILLION}
    receipt = rate({"input_tokens": 1_200, "output_tokens": 300}, PriceTable(1, 10_000, ((0, prices),)))
    assert [usd_from_pico(line.amount_picousd) for line in receipt.lines] == ["$0.003", "$0.003"]
    assert usd(receipt.charged_nanousd) == "$0.006"
    assert receipt.rounding_picousd == 0


def test_a_long_prompt_that_was_mostly_cached() -> None:
    """1,000 new at $3.00, 9,000 cached at $0.30, 2,000 written at $3.75, 500 answered at $15.00.

    $0.003 + $0.0027 + $0.0075 + $0.0075 = $0.0207.
    """
    prices = {
        "input_tokens": 3 * PER_MILLION,
        "cached_input_tokens": 300_000,
        "cache_write_tokens": 3_750_000,
        "output_tokens": 15 * PER_MILLION,
    }
    usage = {
        "input_tokens": 1_000,
        "cached_input_tokens": 9_000,
        "cache_write_tokens": 2_000,
        "output_tokens": 500,
    }
    assert usd(rate(usage, PriceTable(1, 10_000, ((0, prices),))).charged_nanousd) == "$0.0207"


def test_a_book_in_one_prompt_pays_the_long_context_price_for_all_of_it() -> None:
    """150,000 new and 60,000 cached make 210,000, above 200,000: $6.00 and $0.60, answers $22.50.

    $0.90 + $0.036 + 1,000 x $22.50 per million = $0.0225; together $0.9585.
    """
    below = {
        "input_tokens": 3 * PER_MILLION,
        "cached_input_tokens": 300_000,
        "output_tokens": 15 * PER_MILLION,
    }
    above = {"input_tokens": 6 * PER_MILLION, "cached_input_tokens": 600_000, "output_tokens": 22_500_000}
    usage = {"input_tokens": 150_000, "cached_input_tokens": 60_000, "output_tokens": 1_000}
    receipt = rate(usage, PriceTable(1, 10_000, ((0, below), (200_000, above))))
    assert receipt.above_input_tokens == 200_000
    assert usd(receipt.charged_nanousd) == "$0.9585"


def test_a_customer_with_twenty_percent_on_top() -> None:
    """7 tokens at $0.0375 per million are 262,500 pico-dollars; x 1.2 = 315,000 = 315 nano-dollars, even."""
    receipt = rate({"input_tokens": 7}, PriceTable(1, 12_000, ((0, {"input_tokens": 37_500}),)))
    assert receipt.adjustment_picousd == 52_500
    assert usd(receipt.charged_nanousd) == "$0.000000315"


def test_one_token_of_the_cheapest_model() -> None:
    """$0.0028 per million is 2.8 nano-dollars a token, rounded to 3: 200 pico-dollars more."""
    receipt = rate({"input_tokens": 1}, PriceTable(1, 10_000, ((0, {"input_tokens": 2_800}),)))
    assert receipt.charged_nanousd == 3
    assert receipt.rounding_picousd == Decimal(200)


def test_a_million_tiny_calls_cost_what_they_say() -> None:
    """0.3 micro-dollars, a million times, is thirty cents."""
    receipt = rate({"input_tokens": 3}, PriceTable(1, 10_000, ((0, {"input_tokens": 100_000}),)))
    assert receipt.charged_nanousd * 1_000_000 == 300_000_000


def test_pictures_and_films() -> None:
    """3 images at $0.04 are $0.12; 8 seconds of film at $0.40 are $3.20."""
    picture = PriceTable(1, 10_000, ((0, {"images": 40_000_000_000}),))
    assert usd(rate({"images": 3}, picture).charged_nanousd) == "$0.12"
    film = PriceTable(1, 10_000, ((0, {"seconds": 400_000_000_000}),))
    assert usd(rate({"seconds": 8}, film).charged_nanousd) == "$3.20"


def test_thinking_is_paid_like_answering_where_nothing_else_is_said() -> None:
    """200 tokens of thought and 100 of answer at $8.00 per million: $0.0024."""
    rates = complete(((0, {"input_tokens": 2 * PER_MILLION, "output_tokens": 8 * PER_MILLION}),))
    receipt = rate({"reasoning_tokens": 200, "output_tokens": 100}, PriceTable(1, 10_000, rates))
    assert usd(receipt.charged_nanousd) == "$0.0024"
