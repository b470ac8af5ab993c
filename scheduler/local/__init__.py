"""Run an embedded cluster that speaks the Mesos v1 APIs."""
