"""API keys: issue, verify, rename, revoke. "Tokens" in the menu, because people know them by that name."""
