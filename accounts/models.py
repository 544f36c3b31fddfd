"""A person who signs in, their sessions, and what staff did. Nothing about money is stored here: that hangs off a wallet."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.sessions import SessionStore


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email=(email or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """Signs in with an e-mail address, which is stored in lower case and unique in any case."""

    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField(max_length=80, blank=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May open the admin panel.")
    is_active = models.BooleanField("active", default=True, help_text="Who is not is locked out.")
    date_joined = models.DateTimeField("signed up", default=timezone.now, editable=False)
    closed_at = models.DateTimeField(
        "closed", null=True, editable=False, help_text="Who they were is deleted; the books stay."
    )

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-id"]
        verbose_name = "user"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_any_case"),
            models.CheckConstraint(
                name="user_closed_is_out",
                condition=Q(closed_at=None) | Q(is_active=False, is_staff=False, is_superuser=False, name=""),
            ),
        ]
        indexes = [
            models.Index(fields=["closed_at"], name="user_closed", condition=Q(closed_at__isnull=False))
        ]
        permissions = [
            ("lock_out_user", "Can lock people out and let them in again"),
            ("close_user", "Can close people's accounts on their request"),
        ]

    def __str__(self) -> str:
        return self.email if self.closed_at is None else f"closed account {self.pk}"


class Session(AbstractBaseSession):
    """A browser that was here. It knows its person, so that all of somebody's can be ended at once."""

    user_id = models.BigIntegerField(null=True, db_index=True, help_text="Nobody while not signed in.")

    @classmethod
    def get_session_store_class(cls) -> "type[SessionStore]":
        from accounts.sessions import SessionStore

        return SessionStore


class AuditEntry(models.Model):
    """One thing that staff did, or somebody to their own account; people are named by their ids, which outlive them.

    Only accounts/audit.py makes entries; the database refuses to change them.
    """

    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="audit_entries")
    action = models.CharField(max_length=40, help_text="App and verb, as in wallet.grant.")
    target_type = models.CharField(max_length=40, help_text="What it was done to, as in wallet.wallet.")
    target_id = models.CharField(max_length=40)
    reason = models.CharField(max_length=500)
    request_id = models.UUIDField(unique=True, help_text="The same request is done once.")
    details = models.JSONField(default=dict, help_text="Ids and amounts; never key material.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["target_type", "target_id", "id"], name="audit_target")]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"
