"""A bound on passwords, so that nobody makes the server hash a megabyte."""

from django.core.exceptions import ValidationError

LONGEST_PASSWORD = 256


class MaximumLengthValidator:
    def validate(self, password: str, user: object = None) -> None:
        if len(password) > LONGEST_PASSWORD:
            raise ValidationError(
                f"This password is too long. It may have at most {LONGEST_PASSWORD} characters.",
                code="password_too_long",
            )

    def get_help_text(self) -> str:
        return f"Your password may have at most {LONGEST_PASSWORD} characters."
