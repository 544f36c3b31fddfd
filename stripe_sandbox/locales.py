"""The languages that Stripe's pages know; another name is refused."""

_EVERYWHERE = (
    "auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR"
    " ro ru sk sl sv th tr vi zh zh-HK zh-TW"
)
CHECKOUT = tuple(_EVERYWHERE.split())
PORTAL = (*CHECKOUT, "en-AU", "en-CA", "en-IE", "en-IN", "en-NZ", "en-SG")
