"""Usage: the metering API, the calls, receipts and the log pages."""
