"""Talk to a Mesos master through a pymesos driver made safe."""

from scheduler.mesos.callbacks import MesosEvent as MesosEvent
from scheduler.mesos.calls import CallLimits as CallLimits
from scheduler.mesos.dispatch import MesosDispatch as MesosDispatch
from scheduler.mesos.driver import DriverConfig as DriverConfig
from scheduler.mesos.driver import DriverEnd as DriverEnd
from scheduler.mesos.driver import DriverStats as DriverStats
from scheduler.mesos.driver import EgretDriver as EgretDriver
from scheduler.mesos.endpoint import Credential as Credential
from scheduler.mesos.endpoint import Endpoint as Endpoint
from scheduler.mesos.endpoint import Tls as Tls
from scheduler.mesos.executor_info import archive_name as archive_name
from scheduler.mesos.framework import Framework as Framework
from scheduler.mesos.framework import OfferWishes as OfferWishes
from scheduler.mesos.link import Security as Security
from scheduler.mesos.masters import Masters as Masters
from scheduler.mesos.masters import StaticMasters as StaticMasters
from scheduler.mesos.masters import parse_masters as parse_masters
from scheduler.mesos.outcome import CallOutcome as CallOutcome
from scheduler.mesos.outcome import NotSent as NotSent
from scheduler.mesos.outcome import Refused as Refused
from scheduler.mesos.outcome import Sent as Sent
from scheduler.mesos.outcome import Unknown as Unknown
from scheduler.mesos.subscription import Timing as Timing
