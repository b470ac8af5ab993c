"""Say what Consul should hold and make it so."""

from scheduler.discovery.client import ConsulAddress as ConsulAddress
from scheduler.discovery.desired import is_advertised as is_advertised
from scheduler.discovery.discovery import Discovery as Discovery
from scheduler.discovery.discovery import DiscoverySettings as DiscoverySettings
from scheduler.discovery.discovery import DiscoveryStatus as DiscoveryStatus
from scheduler.discovery.discovery import Mode as Mode
from scheduler.discovery.names import DefaultDiscovery as DefaultDiscovery
from scheduler.discovery.names import Refusal as Refusal
from scheduler.discovery.sync import SyncStatus as SyncStatus
