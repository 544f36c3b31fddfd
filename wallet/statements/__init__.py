"""Monthly statements of a wallet: opening balance + movements = closing balance, to the nano-dollar. Reads only.

A month is one of UTC, and a transfer belongs to the month of its `created_at`. A statement is read in one snapshot and
proven before it is shown (`numbers.py`): one that doesn't close is refused, never rendered. What months came to before is
remembered (`sums.py`).
"""
