"""The settings of the notifier."""

from urllib.parse import urlsplit

import msgspec

from core.notifier.channels import LogChannel, NoticeChannel, TelegramChannel, WebhookChannel
from core.notifier.delivery import DeliveryTerms
from core.notifier.notices import NoticeLevel
from kit.base.errors import SettingError

LEVELS = {level.name.lower(): level for level in NoticeLevel}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NotifierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "notifier"."""

    port: int = 8127
    """gRPC port, of Admin."""
    level: str = "look"
    """What the webhook and the chat are sent: look (everything), or page (what must not wait). The
    log has everything."""
    webhook_url: str = ""
    """Where messages are posted as JSON: https, or http on this machine. Empty: nowhere."""
    webhook_token_file: str = ""
    """File with the bearer token that the webhook is shown. Empty: none."""
    telegram_chat: str = ""
    """Id of the Telegram chat, for example -1001234567890. Empty: none."""
    telegram_token_file: str = ""
    """File with the token of the Telegram bot."""
    telegram_url: str = "https://api.telegram.org"
    """Where the Bot API is."""
    message_interval_s: float = 3.0
    """Least time between two messages to a channel: what comes in between is one message."""
    age_max_s: float = 3_600.0
    """Notices that are older when a channel takes messages again are counted, not sent."""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise SettingError("notifier.level", self.level, f"one of {', '.join(LEVELS)}")
        for key in ("message_interval_s", "age_max_s"):
            if getattr(self, key) <= 0:
                raise SettingError(f"notifier.{key}", getattr(self, key), "must be above 0")
        for key in ("webhook_url", "telegram_url"):
            self._require_closed(key)
        if bool(self.telegram_chat) != bool(self.telegram_token_file):
            allowed = "set together with notifier.telegram_token_file, or neither"
            raise SettingError("notifier.telegram_chat", self.telegram_chat, allowed)

    def _require_closed(self, key: str) -> None:
        url = getattr(self, key)
        parts = urlsplit(url)
        if url and not (
            parts.hostname
            and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
        ):
            allowed = "an address that begins with https, or with http on this machine"
            raise SettingError(f"notifier.{key}", url, allowed)

    def channels(self, mesh: str) -> list[tuple[NoticeChannel, DeliveryTerms]]:
        """The channels that are set, and the log."""
        level, interval_s = LEVELS[self.level], self.message_interval_s
        sent = DeliveryTerms(level, interval_s, self.age_max_s)
        logged = DeliveryTerms(NoticeLevel.LOOK, 0, self.age_max_s)
        found: list[tuple[NoticeChannel, DeliveryTerms]] = [(LogChannel(), logged)]
        if self.webhook_url:
            webhook = WebhookChannel(self.webhook_url, self.webhook_token_file, mesh)
            found.append((webhook, sent))
        if self.telegram_chat:
            token_file = self.telegram_token_file
            telegram = TelegramChannel(self.telegram_url, token_file, self.telegram_chat, mesh)
            found.append((telegram, sent))
        return found
