"""From estimates and verdicts to a page that a person reads."""
