"""The benchmark: compares Larder with other systems in one run on one broker (`python -m tests.bench`)."""
