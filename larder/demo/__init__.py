"""A demo of an application: a broker, a generator and workers. The application declares the data and the workers.

`larder demo` runs the demo that the project declares, usually in `app/demo.py`.
"""

from larder.demo.declared import Beside, Demo, Generator, History, Program, Publication

__all__ = ["Beside", "Demo", "Generator", "History", "Program", "Publication"]
