"""Rarer words of declarations: the types that functions of users are given, and errors."""

from larder.declaring.calls import Attempt, GaveUp
from larder.declaring.decisions import Near, Refusal, WakeUp
from larder.declaring.problems import DeclarationError, LarderError, Problem
from larder.declaring.reactions import UNKNOWN, Unknown
from larder.declaring.topics import Rekeyed

__all__ = [
    "UNKNOWN",
    "Attempt",
    "DeclarationError",
    "GaveUp",
    "LarderError",
    "Near",
    "Problem",
    "Refusal",
    "Rekeyed",
    "Unknown",
    "WakeUp",
]
