from django.apps import AppConfig


class WalletConfig(AppConfig):
    name = "wallet"

    def ready(self) -> None:
        import wallet.reconciliation.invariants
        import wallet.refunds.invariants  # noqa: F401 (registers its checks)
        from wallet import checks, signals

        checks.require()
        signals.connect()
