"""Egret's executor: runs tasks on a Mesos agent and imports nothing of the scheduler."""
