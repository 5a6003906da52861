"""Audits: is the judge itself sound? See `agentjudge.audit.base`."""
