"""The processes of `resources.processes`, on CPUs, with weights sharded by FSDP2, where accelerate would not shard them.

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
