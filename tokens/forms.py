"""What people type about their keys."""

from django import forms

from tokens import keys


class NameForm(forms.Form):
    """The name of a key, new or not."""

    name = forms.CharField(
        error_messages={"required": "Give the key a name, so that you recognise it later."},
        widget=forms.TextInput(
            attrs={"maxlength": keys.LONGEST_NAME, "autocomplete": "off", "placeholder": "My app"}
        ),
    )

    def clean_name(self) -> str:
        try:
            return keys.clean_name(self.cleaned_data["name"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
