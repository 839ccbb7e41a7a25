"""The command line in a launch whose models are sharded by FSDP2, on CPUs, where accelerate would not shard them.

torchrun --nproc-per-node 2 tests/sharded_launch.py run STUDY --out DIR
"""

from __future__ import annotations

import os
from typing import Any

from torch.distributed.fsdp import FSDPModule

from evenhand.cli import main
from evenhand.training import distributed
from several_processes import shard

LOADING = "FSDP_CPU_RAM_EFFICIENT_LOADING"


def sharded() -> None:
    # As `accelerate launch --use_fsdp --fsdp_version 2` sets them.
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", LOADING: "true"}
    accelerator = distributed.accelerator()
    loading = os.environ[LOADING]
    shard(accelerator)
    os.environ[LOADING] = loading  # which accelerate sets again where its plugin is made by hand
    distribute = distributed.distribute

    def checked(*arguments: Any) -> Any:
        made = distribute(*arguments)
        assert isinstance(made.module, FSDPModule) == bool(made.replicas[0].parameters)
        return made

    distributed.distribute = checked


if __name__ == "__main__":
    sharded()
    main()
