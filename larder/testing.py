"""What tests of services need: a run over lists of records, without a broker."""

from larder.declaring.in_memory.run import run_in_memory

__all__ = ["run_in_memory"]
