"""Membership inference: attacks on pools and with shadows, and how much they reveal."""
