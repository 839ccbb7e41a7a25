"""Data sets of hate speech, a file each. Their texts are never written to records, logs, messages or reports."""

from evenhand.data.hatespeech.hatecheck import HateCheck
from evenhand.data.hatespeech.hatexplain import HateXplain

__all__ = ["HateCheck", "HateXplain"]
