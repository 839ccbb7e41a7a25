"""Where metrics and statistics meet: from record tables to estimates, contrasts and verdicts. Never imports torch."""
