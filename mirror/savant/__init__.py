"""The remote side: login and token, resolving, downloading.

Every failure leaves as one of the house's errors, without a URL, a token or a password. Whether and
when to try again is decided in `sync/retry.py`; how much is in flight, in `sync/` too.
"""

from mirror.savant.remote import Remote, connect
from mirror.savant.store import BodyStream
from mirror.savant.values import PresignedUrl

__all__ = ["BodyStream", "PresignedUrl", "Remote", "connect"]
