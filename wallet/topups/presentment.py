"""How people read what they paid in a currency of their own. The wallet itself counts US dollars only."""

# Stripe counts these in whole units, and those in thousandths; any other currency in hundredths.
WHOLE = {
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
}  # fmt: skip
THOUSANDTHS = {"bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"}
SYMBOLS = {"eur": "€", "gbp": "£", "inr": "₹", "jpy": "¥", "krw": "₩", "usd": "$"}


def presented(amount: int | None, currency: str) -> str:
    """Minor units of a currency as Stripe counts them: "€9.31", "¥1,450", "8.90 CHF"; empty where nothing is known."""
    if amount is None or not currency:
        return ""
    name = currency.lower()
    places = 0 if name in WHOLE else 3 if name in THOUSANDTHS else 2
    whole, fraction = divmod(amount, 10**places)
    number = f"{whole:,}" + (f".{fraction:0{places}}" if places else "")
    return f"{SYMBOLS[name]}{number}" if name in SYMBOLS else f"{number} {name.upper()}"
