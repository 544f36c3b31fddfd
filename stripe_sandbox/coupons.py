"""The coupons of this account. Stripe's are made in its dashboard; these are always there."""

from dataclasses import dataclass

from .context import Context
from .errors import invalid, no_such
from .params import Params
from .routes import EXPAND, Route
from .store import Json


@dataclass(frozen=True)
class Coupon:
    """`code` is the id of the coupon and what the shopper types in. Either part off, or cents off."""

    code: str
    name: str
    percent_off: int | None = None
    cents_off: int | None = None

    @property
    def promotion_code(self) -> str:
        return f"promo_sandbox{self.code}"

    def discount_cents(self, subtotal_cents: int) -> int:
        """Never more than there is; halves of a cent are rounded up."""
        if self.percent_off is not None:
            return (subtotal_cents * self.percent_off + 50) // 100
        return min(self.cents_off or 0, subtotal_cents)

    def shown(self) -> Json:
        return {
            "id": self.code,
            "object": "coupon",
            "amount_off": self.cents_off,
            "created": 1_767_225_600,
            "currency": "usd" if self.cents_off else None,
            "duration": "once",
            "duration_in_months": None,
            "livemode": False,
            "max_redemptions": None,
            "metadata": {},
            "name": self.name,
            "percent_off": self.percent_off,
            "redeem_by": None,
            "times_redeemed": 0,
            "valid": True,
        }


COUPONS = {
    coupon.code: coupon
    for coupon in (
        Coupon("FREE100", "100 % off", percent_off=100),
        Coupon("SAVE25", "25 % off", percent_off=25),
        Coupon("DOLLAR1", "A dollar off", cents_off=100),
    )
}


def by_code(code: str) -> Coupon:
    """What a shopper typed in; ApiError 400 where there is no such code."""
    found = COUPONS.get(code.strip().upper())
    if found is None:
        raise invalid("This code is invalid.", param="coupon", code="resource_missing")
    return found


def of_request(given: Params, name: str) -> Coupon:
    """What the shop named as `discounts[0]`."""
    if "promotion_code" in given:
        for coupon in COUPONS.values():
            if coupon.promotion_code == given["promotion_code"]:
                return coupon
        param = f"{name}[promotion_code]"
        raise no_such("promotion code", given["promotion_code"], param=param, status=400)
    if given.get("coupon") not in COUPONS:
        raise no_such("coupon", given.get("coupon", ""), param=f"{name}[coupon]", status=400)
    return COUPONS[given["coupon"]]


def _show(ctx: Context, params: Params, key: str) -> Json:
    if key not in COUPONS:
        raise no_such("coupon", key, param="coupon")
    return COUPONS[key].shown()


ROUTES = [Route("GET", "/v1/coupons/{id}", _show, EXPAND)]
