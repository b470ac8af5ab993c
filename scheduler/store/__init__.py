"""Keep durable records and elect the leader."""
