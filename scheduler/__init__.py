"""Egret's scheduler: a Mesos framework that takes the place of Marathon."""
