"""Data sets of hate speech, one per file. Their texts are never written to records, logs, messages or reports."""

from evenhand.data.hatespeech.dlab import DLab
from evenhand.data.hatespeech.ethos import Ethos
from evenhand.data.hatespeech.hatecheck import HateCheck
from evenhand.data.hatespeech.hatexplain import HateXplain

__all__ = ["DLab", "Ethos", "HateCheck", "HateXplain"]
