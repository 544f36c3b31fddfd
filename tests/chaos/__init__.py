"""Faults under load: kill -9, servers that go away, and a client's journal to compare the books with."""
