"""Say what Consul should hold and make it so."""
