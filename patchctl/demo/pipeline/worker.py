#!/usr/bin/env python3
"""Takes jobs from the queue, one at a time."""

import json
import sys


def handle(job: dict) -> dict:
    # ###WORKER_HANDLE###
    raise NotImplementedError


def main() -> int:
    for line in sys.stdin:
        print(json.dumps(handle(json.loads(line))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
