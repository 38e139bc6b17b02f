"""The one tree of errors.

HoldfastError
├── RejectedEvent          a record that cannot be processed; ends in the dead-letter topic
├── InputError             a file, option or setting that a person gave and can mend
├── UnavailableError       a server that is not there: broker, Redis, Triton, Flink
└── GenerationError        the language model gave no usable script
    ├── DeadlineExceeded   … within the time that was left
    ├── BreakerOpen        … because it was not asked: it failed too often just now
    └── GuardFailed        … because the text states what it must not
"""

from typing import final


class HoldfastError(Exception):
    """Root of every error that holdfast raises on purpose."""


@final
class RejectedEvent(HoldfastError):
    """A record that does not fit its schema or its time bounds.

    `field` names the field at fault (`record`, `key` or a JSON field), `reason` the value's problem.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InputError(HoldfastError):
    """What a person gave cannot be used; the text says what to change."""


class UnavailableError(HoldfastError):
    """A server that is needed does not answer; the text names it and its address."""


class GenerationError(HoldfastError):
    """The language model gave no usable script."""


class DeadlineExceeded(GenerationError):
    """No script within the time that was left."""


class BreakerOpen(GenerationError):
    """The model was not asked, because it failed too often just now."""


class GuardFailed(GenerationError):
    """The script states, leaks or carries something that the facts do not allow."""
