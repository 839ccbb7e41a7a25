"""The processes of `resources: {sharded: true}`, on CPUs, where accelerate would not shard the weights.

torchrun --nproc-per-node 2 tests/sharded_processes.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from evenhand.study.executors.several_processes import main
from sharded_launch import sharded

if __name__ == "__main__":
    assert os.environ["ACCELERATE_USE_FSDP"] == "true" and os.environ["FSDP_VERSION"] == "2"
    sharded()
    main(Path(sys.argv[1]))
