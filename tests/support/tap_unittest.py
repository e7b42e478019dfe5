"""Runs the unittest cases under a directory and says TAP: `python3 tap_unittest.py DIRECTORY`."""

import sys
import unittest


class Tap(unittest.TextTestResult):
    """One line for each test; a failure's words follow as diagnostics."""

    count = 0

    def say(self, good, test, more=""):
        Tap.count += 1
        words = test.id().split(".")[-1].replace("test_", "").replace("_", " ")
        print(f"{'ok' if good else 'not ok'} {Tap.count} - {words}{more}", flush=True)

    def addSuccess(self, test):
        self.say(True, test)

    def addSkip(self, test, reason):
        self.say(True, test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        self.say(False, test)
        print("\n".join("# " + line for line in self._exc_info_to_string(err, test).splitlines()))
        super().addFailure(test, err)

    addError = addFailure


suite = unittest.TestLoader().discover(sys.argv[1])
unittest.TextTestRunner(stream=open("/dev/null", "w"), resultclass=Tap).run(suite)
print(f"1..{Tap.count}")
