#!/usr/bin/env python3
"""The ARM double itself: it plays Azure, refuses wrong requests, and strikes with each fault."""
import e2e
from armdouble import ArmDouble

GROUP = "/resourceGroups/rg1"
TAGS = {"azlin:managed": "true"}
RESOURCES = "2024-07-01"


def test_group_lives():
    with ArmDouble() as double:
        made = double.arm("PUT", GROUP, RESOURCES, {"location": "eastus", "tags": TAGS})
        assert made.status == 201 and made.body["properties"]["provisioningState"] == "Succeeded", made
        assert double.arm("HEAD", GROUP, RESOURCES).status == 204
        assert double.settle(double.arm("DELETE", GROUP, RESOURCES)).status == 204
        double.assert_clean()


if __name__ == "__main__":
    e2e.main(globals())
