"""Types for the part of py-consul that Egret uses; the library annotates only some of itself.

Answers are the decoded JSON, `Any` until the caller has checked them.
"""

from .check import Check as Check
from .exceptions import ACLDisabled as ACLDisabled
from .exceptions import ACLPermissionDenied as ACLPermissionDenied
from .exceptions import ConsulException as ConsulException
from .exceptions import NotFound as NotFound
from .exceptions import Timeout as Timeout
from .std import Consul as Consul
