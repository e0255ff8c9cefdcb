#!/usr/bin/env python3
"""Counts the single cases of a meson run, names what was skipped, and prints 'N passed, N failed, N skipped'."""
import json
import re
import sys
import xml.etree.ElementTree as ET

logs = sys.argv[1]
with open(logs + "/testlog.junit.xml", encoding="utf-8", errors="replace") as report:
    # what a failed test printed stands in it as it was, bytes that XML does not know included
    root = ET.fromstring(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "?", report.read()))
passed, failed, skipped = 0, [], []
for suite in root.iter("testsuite"):
    for case in suite.iter("testcase"):
        name = "%s / %s" % (suite.get("name"), case.get("name"))
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.append(name)
        else:
            passed += 1
# A program that crashed or hung may not have reported its case: it counts as one failure of its own.
for line in open(logs + "/testlog.json"):
    test = json.loads(line)
    if test["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT") and not any(test["name"] in name for name in failed):
        failed.append("%s (%s)" % (test["name"], test["result"].lower()))
for title, names in (("skipped", skipped), ("FAILED", failed)):
    for name in names:
        print("%s: %s" % (title, name))
print("%d passed, %d failed, %d skipped" % (passed, len(failed), len(skipped)))
sys.exit(1 if failed or passed == 0 else 0)
