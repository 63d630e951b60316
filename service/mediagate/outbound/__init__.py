"""Requests to other machines: which addresses may be reached, and one POST to one of them. Public, for plugins."""
