"""The fault suite: a seed chooses a workload and faults for three workers and a broker (`make faults`).

It judges the results from outside.
"""
