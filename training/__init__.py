"""Training of the pill encoder: data preparation, captions, model, loop, export."""

import os

# Threads that spin while they wait burn the cores that the picture worker needs: measured here, 12 s of CPU a
# step instead of 3. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
