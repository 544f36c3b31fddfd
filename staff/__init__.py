"""What the apps' admin pages have in common. No app of its own; knows none of them, so that each may import it."""
