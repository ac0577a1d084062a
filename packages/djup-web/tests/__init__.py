import sys
import unittest
from contextlib import AbstractContextManager
from typing import Any


def enter_context(case: unittest.TestCase, context: AbstractContextManager[Any]) -> Any:
    """What `TestCase.enterContext` does from Python 3.11 on."""
    value = context.__enter__()
    case.addCleanup(context.__exit__, None, None, None)
    return value


if sys.version_info < (3, 11):
    unittest.TestCase.enterContext = enter_context
