"""A person who signs in, and what staff did. Nothing about money is stored here: everything hangs off a wallet."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone


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

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-id"]
        verbose_name = "user"
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]
        permissions = [("lock_out_user", "Can lock people out and let them in again")]

    def __str__(self) -> str:
        return self.email


class AuditEntry(models.Model):
    """One thing that a person of staff did. Only accounts/audit.py makes them; the database refuses to change them."""

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
