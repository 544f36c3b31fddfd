from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = "API keys"

    def ready(self) -> None:
        from tokens import signals

        signals.connect()
