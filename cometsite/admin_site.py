"""How the admin panel looks and what its menu holds (Unfold's settings)."""

UNFOLD: dict[str, object] = {"SITE_TITLE": "Staff", "SITE_HEADER": "Staff"}
