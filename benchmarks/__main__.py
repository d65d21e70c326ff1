"""All questions in one go."""

from __future__ import annotations

import sys

from benchmarks import data, large, pipelines, startup
from benchmarks.run import main

QUESTIONS = (startup.QUESTION, data.QUESTION, large.QUESTION, *pipelines.QUESTIONS)

if __name__ == "__main__":
    sys.exit(main(QUESTIONS))
