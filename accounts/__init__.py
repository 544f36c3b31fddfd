"""People: sign-up, profile, security, closing an account, audit trail."""
