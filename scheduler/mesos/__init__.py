"""Talk to a Mesos master through a pymesos driver made safe."""
