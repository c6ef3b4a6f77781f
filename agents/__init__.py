"""What each service does: one module for each service, and the words to declare it.

Declarations and pure functions only: importing any of it starts nothing.
"""

from agents.declaring.decisions import Decision, Delete, Near, Refusal, Wake, WakeUp
from agents.declaring.memory import run_in_memory
from agents.declaring.missing import DeadLetter, Drop, PassOn, Wait
from agents.declaring.reactions import UNKNOWN, Unknown
from agents.declaring.service import Service

__all__ = [
    "UNKNOWN",
    "DeadLetter",
    "Decision",
    "Delete",
    "Drop",
    "Near",
    "PassOn",
    "Refusal",
    "Service",
    "Unknown",
    "Wait",
    "Wake",
    "WakeUp",
    "run_in_memory",
]
