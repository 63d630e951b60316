"""The APIs of other services, in whose words clients use the pipelines of a gate: one module for each."""
