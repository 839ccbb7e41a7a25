"""Records of one model as arrays: what measures of options, benchmarks and probes are computed from."""
