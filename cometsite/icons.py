"""The icons of templates, each drawn once: the package copies and writes an icon's XML for every use of it, of which a page
has a dozen. Stands in for the package's tag library (settings).
"""

from functools import lru_cache

from django.template import Library
from heroicons.templatetags import heroicons

register = Library()
for tag in (heroicons.heroicon_mini, heroicons.heroicon_outline):
    register.simple_tag(lru_cache(maxsize=256)(tag))
