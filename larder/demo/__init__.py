"""A demo of an application: its generator, a broker, workers, and a line for each. The application says what flows.

`larder demo` runs the one that the project declares, usually in `app/demo.py`.
"""

from larder.demo.declared import Demo, Generator, History, Publication

__all__ = ["Demo", "Generator", "History", "Publication"]
