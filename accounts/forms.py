"""What people fill in about their account, besides allauth's own forms."""

from django import forms


class CloseForm(forms.Form):
    """Says that it is meant."""

    sure = forms.BooleanField(
        label="Close my account for good. I know that this cannot be undone.",
        error_messages={"required": "Tick the box if you mean it."},
    )
