"""All settings, read from the environment. The README's table says what each variable means."""

from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from cometsite import env
from cometsite.patience import PatientConnection

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("DATA_DIR") or BASE_DIR / ".data").absolute()

# DEBUG=true says "this machine is local": defaults stand in for secrets, mail goes to files, nothing needs https.
# Django's own debug pages stay off everywhere; they would show settings and other people's data.
LOCAL = env.flag("DEBUG", default=False)
DEBUG = False

SECRET_KEY = env.required(
    "SECRET_KEY",
    local_default="local-only-secret-key-that-protects-nothing-at-all",
    local=LOCAL,
    is_secret=True,
)
# Keys the hash that remembers who had starter credit; it must outlive a change of SECRET_KEY.
IDENTITY_KEY = env.text("IDENTITY_KEY") or SECRET_KEY
PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
SITE_URL = env.required("SITE_URL", local_default=f"http://127.0.0.1:{PORT}", local=LOCAL).rstrip("/")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if LOCAL else "")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS must name this site's hosts, separated by commas; * is refused."
    )
CSRF_TRUSTED_ORIGINS = [SITE_URL] if urlsplit(SITE_URL).scheme == "https" else []

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "accounts.apps.AccountsConfig",
    "pricing.apps.PricingConfig",
    "wallet.apps.WalletConfig",
    "tokens.apps.TokensConfig",
    "logs.apps.LogsConfig",
    "allauth",
    "allauth.account",
    "django_htmx",
    "cometsite.staff_site.StaffConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "cometsite",
]

MIDDLEWARE = [
    "cometsite.patience.PatientRequests",
    "django.middleware.security.SecurityMiddleware",
    "cometsite.middleware.Programs",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "cometsite.middleware.PrivatePages",
    "cometsite.middleware.HostileInput",
    "cometsite.middleware.KeysOutOfSight",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "cometsite.urls"
WSGI_APPLICATION = "cometsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"heroicons": "cometsite.icons"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "cometsite.context.navigation",
            ],
        },
    }
]

# Database. Every connection comes from psycopg's pool; statements on the hot path are prepared there.
DATABASE_URL = env.required("DATABASE_URL", local_default=None, local=LOCAL)
DATABASES = {"default": env.database(DATABASE_URL)}
_options = DATABASES["default"]["OPTIONS"]
assert isinstance(_options, dict)
_options["pool"] = {
    "min_size": 1,
    "max_size": env.integer("DATABASE_POOL_SIZE", 16, minimum=1, maximum=1000),
    "timeout": 2,  # A request that gets no connection is answered 503, soon.
    # A server that is away is looked for anew by whoever asks next, not in ever longer pauses.
    "reconnect_timeout": 2,
    "connection_class": PatientConnection,
}
_options.setdefault("connect_timeout", 5)
# Prepared statements are those of the paths where every call passes (wallet/transactions.py): planned once a connection.
_options["prepare_threshold"] = 5  # Not None, with which Django's connections prepare nothing at all.
_options["options"] = f"{_options.get('options', '')} -c plan_cache_mode=force_generic_plan".strip()
DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
# Only for tests and trials: lets processes start on a database that may forget what it acknowledged.
DATABASE_MAY_LOSE_DATA = env.flag("DATABASE_MAY_LOSE_DATA", default=False)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Valkey: cache (rate limits) and Celery's broker. Sessions and money live in PostgreSQL.
VALKEY_URL = env.required("VALKEY_URL", local_default="redis://127.0.0.1:6379/0", local=LOCAL)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": VALKEY_URL.replace("valkey://", "redis://", 1),
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL") or VALKEY_URL

# Stripe
STRIPE_SECRET_KEY = env.required("STRIPE_SECRET_KEY", local_default=None, local=LOCAL)
STRIPE_WEBHOOK_SECRET = env.required("STRIPE_WEBHOOK_SECRET", local_default=None, local=LOCAL)
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "https://api.stripe.com").rstrip("/")
STRIPE_LIVEMODE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
# On top of the amount: what Stripe Tax works out, for products of this tax code (electronically supplied services).
STRIPE_TAX = env.flag("STRIPE_TAX", default=False)
STRIPE_TAX_CODE = env.text("STRIPE_TAX_CODE", "txcd_10000000")
STRIPE_PROMOTION_CODES = env.flag("STRIPE_PROMOTION_CODES", default=False)
STRIPE_INVOICES = env.flag("STRIPE_INVOICES", default=False)

# The business
STARTER_CREDIT_NANOUSD = env.integer("STARTER_CREDIT_CENTS", 10, maximum=100_00) * 10_000_000
STARTER_CREDIT_DAILY_LIMIT = env.integer("STARTER_CREDIT_DAILY_LIMIT", 1000)
TOP_UP_MINIMUM_CENTS = env.integer("TOP_UP_MINIMUM_CENTS", 100, minimum=50)
TOP_UP_MAXIMUM_CENTS = env.integer("TOP_UP_MAXIMUM_CENTS", 500_00, minimum=100, maximum=999_999_99)
TOP_UPS_PER_HOUR = env.integer("TOP_UPS_PER_HOUR", 10_000 if LOCAL else 20, minimum=1)
REFUNDS_PER_HOUR = env.integer("REFUNDS_PER_HOUR", 10_000 if LOCAL else 20, minimum=1)
HOLD_SECONDS = env.integer("HOLD_SECONDS", 900, minimum=10, maximum=86_400)
KEYS_PER_WALLET = env.integer("KEYS_PER_WALLET", 100, minimum=1, maximum=10_000)
# Of the balance and account APIs, for each key.
API_QUESTIONS_PER_MINUTE = env.integer("API_QUESTIONS_PER_MINUTE", 240, minimum=1)
# Whether `/user/quota?key=` answers: its clients put the key into the address.
BALANCE_BY_ADDRESS = env.flag("BALANCE_BY_ADDRESS", default=True)
# Where the finder of leaked keys has its public keys; reports are not taken where it is not set.
LEAK_REPORT_KEYS_URL = env.text("LEAK_REPORT_KEYS_URL")
if LEAK_REPORT_KEYS_URL and not LOCAL and urlsplit(LEAK_REPORT_KEYS_URL).scheme != "https":
    raise ImproperlyConfigured(
        "LEAK_REPORT_KEYS_URL must be an https address: whoever answers it may revoke keys."
    )
# People are told before a price rises, so long before; a price that changes by more than a factor is imported by force only.
PRICE_RISE_NOTICE_DAYS = env.integer("PRICE_RISE_NOTICE_DAYS", 7, maximum=365)
PRICE_IMPORT_FACTOR = env.integer("PRICE_IMPORT_FACTOR", 3, minimum=1, maximum=1000)
# Whether prices are imported every night, by Celery beat.
PRICE_IMPORT_DAILY = env.flag("PRICE_IMPORT_DAILY", default=False)
# Months of calls that stay in the database; 0 keeps all. Older ones are archived every night (logs/archive), to files that
# this folder holds. Calls of the last 35 days may still come, and are counted in hours for 62.
CALLS_KEPT_MONTHS = env.integer("CALLS_KEPT_MONTHS", 0, maximum=1200)
CALLS_ARCHIVE_DIR = env.text("CALLS_ARCHIVE_DIR")
if CALLS_KEPT_MONTHS in (1, 2):
    raise ImproperlyConfigured("CALLS_KEPT_MONTHS must be 0, which keeps all calls, or at least 3.")
if CALLS_KEPT_MONTHS and not CALLS_ARCHIVE_DIR:
    raise ImproperlyConfigured(
        "CALLS_KEPT_MONTHS needs CALLS_ARCHIVE_DIR, the folder of the archived months."
    )
STAFF_LIMIT_CENTS = env.integer("STAFF_LIMIT_CENTS", 100_00)
# Off where they are not set: then a refund goes to Stripe at once.
REFUND_APPROVAL_ABOVE_CENTS = env.optional_integer("REFUND_APPROVAL_ABOVE_CENTS")
REFUND_MIN_ACCOUNT_AGE_DAYS = env.optional_integer("REFUND_MIN_ACCOUNT_AGE_DAYS", minimum=1, maximum=3650)
GATEWAY_BASE_URL = (
    env.text("GATEWAY_BASE_URL")
    or (f"http://127.0.0.1:{env.integer('GATEWAY_PORT', 4000)}" if LOCAL else SITE_URL)
).rstrip("/")
SUPPORT_EMAIL = env.text("SUPPORT_EMAIL", "support@localhost" if LOCAL else "")
SITE_NAME = env.text("SITE_NAME", "Comet")

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "accounts.passwords.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "wallet"
EMAIL_VERIFICATION_REQUIRED = env.flag("EMAIL_VERIFICATION", default=not LOCAL)
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_VERIFICATION_REQUIRED else "none"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = EMAIL_VERIFICATION_REQUIRED
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"{SITE_NAME}: "
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(SITE_URL).scheme
if LOCAL:
    ACCOUNT_RATE_LIMITS: dict[str, str] | bool = False
ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 0, maximum=10)

# Mail
MAILERS = {
    "default": env.mail(env.required("EMAIL_URL", local_default=f"file://{DATA_DIR / 'mail'}", local=LOCAL))
}
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("FROM_EMAIL", f"no-reply@{urlsplit(SITE_URL).hostname}")

# Security
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not LOCAL
SECURE_SSL_REDIRECT = (
    False  # The webhook must never be answered with a redirect; the proxy in front redirects people.
)
SECURE_HSTS_SECONDS = 0 if LOCAL else 60 * 60 * 24 * 365
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024 + 1
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

_stripe_pages = ["https://checkout.stripe.com", "https://billing.stripe.com"]
if STRIPE_API_BASE != "https://api.stripe.com":
    _stripe_pages.append(STRIPE_API_BASE)
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.SELF, *_stripe_pages],
}

# Language, time, files
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "cometsite.formats"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "tokens.masking.MaskingFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {"django.request": {"level": "ERROR"}},
}

from cometsite.admin_site import UNFOLD  # noqa: E402, F401  (Unfold reads its settings here)
