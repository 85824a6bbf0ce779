"""The few exceptions callers may want to catch. Every message is one line and says what to do."""


class HealtheatError(Exception):
    """Anything healtheat raises on purpose."""


class InputError(HealtheatError):
    """The data given cannot be used; the message names the file, the line and what to do."""


class ImageError(HealtheatError):
    """One image cannot be decoded; the message is the reason alone."""


class EncoderError(HealtheatError):
    """An encoder cannot be loaded exactly as asked for."""


class BadIndex(HealtheatError):
    """An index is damaged, incomplete, or written by an incompatible version."""


class IndexBusy(HealtheatError):
    """Another process is building this index right now."""
