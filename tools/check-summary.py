#!/usr/bin/env python3
"""Counts the single cases of a meson run, names what was skipped, and prints 'N passed, N failed, N skipped'."""
import sys
import xml.etree.ElementTree as ET

passed, failed, skipped = 0, [], []
for suite in ET.parse(sys.argv[1]).getroot().iter("testsuite"):
    for case in suite.iter("testcase"):
        name = "%s / %s" % (suite.get("name"), case.get("name"))
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.append(name)
        else:
            passed += 1
for title, names in (("skipped", skipped), ("FAILED", failed)):
    for name in names:
        print("%s: %s" % (title, name))
print("%d passed, %d failed, %d skipped" % (passed, len(failed), len(skipped)))
sys.exit(1 if failed or passed == 0 else 0)
