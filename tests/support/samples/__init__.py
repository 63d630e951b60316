"""Small files that mean something else to one viewer than to another, one maker a kind."""
