"""Three workers, a broker, a workload and faults chosen by one seed; judged from outside (`make faults`)."""
