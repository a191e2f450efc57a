# Source before training on a CPU: `. train/env.sh`
# One thread per process; large malloc thresholds keep freed tensors in the heap (about halves a step).
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456
