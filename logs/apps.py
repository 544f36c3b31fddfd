from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"
    verbose_name = "Usage"

    def ready(self) -> None:
        from logs import invariants, signals

        invariants.add()
        signals.connect()
